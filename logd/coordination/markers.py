"""Writing the end of a transaction to a partition that this node leads: for a coordinator here, or one from afar.

A marker is written when it is in the log, and committed when the high watermark has passed it: only that is told as
NONE. A coordinator that hears anything else, or nothing, sends it again; a marker that is there twice does no harm.
Partitions of `__consumer_offsets` belong to the group coordinator, which makes pending offsets count, or drops them.
Source: apache/kafka core/…/server/KafkaApis.scala.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from logd.delayed import ProduceWait
from protocol.control_records import end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from replication.partition import ACKS_ALL
from replication.topic_names import GROUP_TOPIC
from storage.errors import StorageError

if TYPE_CHECKING:
    from coordinator.shard import TransactionMarker
    from logd.node import Node
    from logd.replicas import LocalPartition
    from protocol.types import TimestampMs, TopicPartition
    from replication.ports import AppendResult

#: How long a coordinator waits for other brokers (Kafka: request.timeout.ms).
_COMMIT_TIMEOUT_MS: Final = 30_000


def write_marker(
    node: Node, where: TopicPartition, marker: TransactionMarker, written: Callable[[ErrorCode], None]
) -> None:
    """Write it; `written` is told what became of it once, perhaps before this returns.

    NONE: it is committed. INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED: it is out of date. All other codes
    may pass.
    """
    try:
        partition = node.partition(*where)
        if where.topic == GROUP_TOPIC:
            node.groups.write_marker(where.partition, marker, written)
            return
        wait = _append(node, partition, marker)
    except BrokerError as refusal:
        written(refusal.code)
        return
    if wait is None:
        written(ErrorCode.NONE)
        return
    node.delayed.park_produce(
        [wait], _COMMIT_TIMEOUT_MS, lambda: written(ErrorCode.NONE if wait.error is None else wait.error)
    )


def append_marker(
    node: Node, partition: LocalPartition, marker: TransactionMarker, now_ms: TimestampMs
) -> AppendResult:
    """Append it. The caller sees to the flush that it may demand, and to who waits for the partition.

    Raises: BrokerError as `Partition.append_marker`; nothing was written then.
    """
    batch = end_txn_marker(
        committed=marker.committed,
        producer_id=marker.producer.producer_id,
        producer_epoch=marker.producer.producer_epoch,
        coordinator_epoch=marker.coordinator_epoch,
        timestamp_ms=now_ms,
    )
    try:
        return partition.append_marker(batch, now_ms=now_ms, transaction_version=marker.transaction_version)
    except StorageError as error:
        raise node.storage_failed(partition, error) from error


def _append(node: Node, partition: LocalPartition, marker: TransactionMarker) -> ProduceWait | None:
    """What to wait for until it is committed; None when it is. Raises: BrokerError; nothing was written then."""
    result = append_marker(node, partition, marker, node.now_ms())
    if result.flush_to >= 0:
        node.flusher.request(partition)
    node.state_changed(partition)
    return None if partition.has_acknowledged(result, ACKS_ALL) else ProduceWait(partition, result, ACKS_ALL)

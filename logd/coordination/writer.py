"""Writes a coordinator's records to the partition of the internal topic that it owns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from coordinator.internal_records import encode_key, encode_value
from logd.coordination.markers import append_marker
from logd.delayed import ProduceWait
from protocol.record_builder import RecordBatchBuilder
from protocol.records import NO_PRODUCER_EPOCH, NO_PRODUCER_ID
from replication.partition import ACKS_ALL
from storage.errors import StorageError
from storage.log import AppendOrigin

if TYPE_CHECKING:
    from coordinator.shard import CoordinatorRecord, TransactionalProducer, TransactionMarker
    from logd.node import Node
    from logd.replicas import LocalPartition
    from protocol.types import Offset, TimestampMs
    from replication.ports import AppendResult

#: How long it is said to take at most until records are committed (Kafka: offsets.commit.timeout.ms). Waiting goes on
#: after that: nothing can be taken back, and answers must not overtake what they rest on.
_COMMIT_WAIT_MS: Final = 5_000


class LocalWriter:
    """A `coordinator.ports.PartitionWriter` on a partition that this node leads."""

    __slots__ = ("_committed", "_last", "_node", "_partition", "_waiting")

    def __init__(self, node: Node, partition: LocalPartition, committed: Callable[[], None]) -> None:
        """`committed` is called when the high watermark has passed what was appended."""
        self._node = node
        self._partition = partition
        self._committed = committed
        self._last: AppendResult | None = None
        """What was appended last and not committed at once."""
        self._waiting = False

    @property
    def high_watermark(self) -> Offset:
        return self._partition.high_watermark

    def append(
        self,
        records: Sequence[CoordinatorRecord],
        producer: TransactionalProducer | None,
        now_ms: TimestampMs,
    ) -> Offset:
        """Raises: BrokerError; nothing was written then."""
        batch = _batch(records, producer, now_ms)
        try:
            result = self._partition.append(
                batch, acks=ACKS_ALL, now_ms=now_ms, origin=AppendOrigin.COORDINATOR
            )
        except StorageError as error:
            raise self._node.storage_failed(self._partition, error) from error
        return self._appended(result)

    def append_marker(self, marker: TransactionMarker, now_ms: TimestampMs) -> Offset:
        """Raises: BrokerError; nothing was written then."""
        return self._appended(append_marker(self._node, self._partition, marker, now_ms))

    def _appended(self, result: AppendResult) -> Offset:
        partition = self._partition
        if result.flush_to >= 0:
            self._node.flusher.request(partition)
        self._node.state_changed(partition)
        if not partition.has_acknowledged(result, ACKS_ALL):
            self._wait(result)
        return result.base_offset

    def retire(self) -> None:
        """Tell nobody any more. Whoever was told holds this writer: without that the two would outlive their term
        until the collector looks, with the whole log.
        """
        self._committed = _tell_nobody

    def _wait(self, result: AppendResult) -> None:
        self._last = result
        if not self._waiting:
            self._waiting = True
            wait = ProduceWait(self._partition, result, ACKS_ALL)
            self._node.delayed.park_produce([wait], _COMMIT_WAIT_MS, self._waited)

    def _waited(self) -> None:
        self._waiting = False
        self._committed()
        last, partition = self._last, self._partition
        if last is not None and partition.is_leader and not partition.has_acknowledged(last, ACKS_ALL):
            self._wait(last)


def _tell_nobody() -> None:
    pass


def _batch(
    records: Sequence[CoordinatorRecord], producer: TransactionalProducer | None, now_ms: TimestampMs
) -> bytearray:
    builder = RecordBatchBuilder(
        producer_id=NO_PRODUCER_ID if producer is None else producer.producer_id,
        producer_epoch=NO_PRODUCER_EPOCH if producer is None else producer.producer_epoch,
        transactional=producer is not None,
    )
    builder.extend(
        [encode_key(key) for key, _ in records],
        [None if value is None else encode_value(value) for _, value in records],
        timestamp_ms=now_ms,
    )
    return builder.build()

"""What requests about compaction have in common: each partition once, which may be asked about, and its refusal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode
from storage.errors import StorageFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.replicas import LocalPartition

#: Partitions dealt with in one turn of the loop: each of them may begin a segment.
_PER_TURN: Final = 10

Row = TypeVar("Row")


class _Topic(Protocol):
    name: str
    partitions: list[int]


async def rows_by_topic(
    broker: Broker,
    context: RequestContext,
    operation: Operation,
    topics: Iterable[_Topic],
    row_type: Callable[..., Row],
    answer: Callable[[LocalPartition, Row], None],
) -> dict[str, list[Row]]:
    """A row for each partition of each topic, in the order of the request, by who may do `operation` on the topic.

    `answer` fills a row in; what it raises (BrokerError, StorageFailure) becomes the row's error.
    """
    found: dict[str, list[Row]] = {}
    done = 0
    for topic, indexes in _by_topic(topics).items():
        rows = found[topic] = []
        for index in indexes:
            row = row_type(partition_index=index)
            try:
                partition = _compacted_partition(broker, context, operation, topic, index)
                _answer(broker, partition, row, answer)
            except BrokerError as refusal:
                row = row_type(partition_index=index, error_code=refusal.code, error_message=refusal.message)
            rows.append(row)
            done += 1
            if done % _PER_TURN == 0:
                await asyncio.sleep(0)
    return found


def _answer(
    broker: Broker, partition: LocalPartition, row: Row, answer: Callable[[LocalPartition, Row], None]
) -> None:
    """Raises: BrokerError."""
    try:
        answer(partition, row)
    except StorageFailure as failure:
        raise broker.storage_failed(partition, failure) from failure


def _compacted_partition(
    broker: Broker, context: RequestContext, operation: Operation, topic: str, index: int
) -> LocalPartition:
    """Raises: BrokerError, POLICY_VIOLATION for a topic that is not compacted."""
    if not broker.authorise(context, operation, ResourceType.TOPIC, topic):
        raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    partition = broker.partition(topic, index)
    if partition.refusal is not None:
        raise BrokerError(partition.refusal)
    if not partition.log.config.compacts:
        policy = ",".join(sorted(partition.log.config.cleanup_policy))
        text = f"topic {topic} is not compacted: cleanup.policy={policy}"
        raise BrokerError(ErrorCode.POLICY_VIOLATION, text)
    return partition


def _by_topic(topics: Iterable[_Topic]) -> dict[str, Sequence[int]]:
    """Partitions of each topic, none of them twice."""
    found: dict[str, dict[int, None]] = {}
    for topic in topics:
        found.setdefault(topic.name, {}).update(dict.fromkeys(topic.partitions))
    return {name: list(indexes) for name, indexes in found.items()}

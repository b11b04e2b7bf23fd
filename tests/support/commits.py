"""Commits of librdkafka's consumers: it leaves to its caller what is to be done where one is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from tests.support.patience import insist, is_retriable

_NO_COORDINATOR = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError._WAIT_COORD,
    }
)
"""There is no coordinator yet."""

_GIVEN_AWAY = frozenset(
    {
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.STALE_MEMBER_EPOCH,
    }
)
"""Some partitions may be another's by now, who reads from the last commit on; what is still this member's, it owes."""

_AWAY = frozenset(
    {
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
    }
)
"""The broker is; or it took the commit and could not say so in time."""

_PASSES = _NO_COORDINATOR | _GIVEN_AWAY | _AWAY


class Commit(NamedTuple):
    """What became of the commit of what a member has read."""

    offsets: dict[int, int]
    """By partition: what is now committed."""
    owes: bool
    """Whether something is left to commit."""
    refused: str = ""


def commit(consumer: Consumer, offsets: Sequence[TopicPartition]) -> None:
    """Commit all of them as soon as there is a coordinator that takes them."""
    rows = insist(
        lambda: consumer.commit(offsets=list(offsets), asynchronous=False),
        lambda failure: is_retriable(failure) or _code(failure) in _NO_COORDINATOR,
    )
    assert all(row.error is None for row in rows), rows


def commit_what_was_read(consumer: Consumer) -> Commit:
    """Commit the positions of a group's member, once. Raises what neither a rebalance nor a restart explains."""
    try:
        rows = consumer.commit(asynchronous=False)
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() == KafkaError._NO_OFFSET:  # of what is still this member's, all is committed
            return Commit({}, owes=False, refused=error.name())
        if error.code() not in _PASSES:
            raise
        return Commit({}, owes=True, refused=error.name())
    refused = next((row.error for row in rows if row.error is not None), None)
    if refused is not None and refused.code() not in _PASSES:
        raise KafkaException(refused)
    offsets = {row.partition: row.offset for row in rows if row.error is None and row.offset >= 0}
    return Commit(offsets, owes=refused is not None, refused="" if refused is None else refused.name())


def _code(failure: Exception) -> int | None:
    return failure.args[0].code() if isinstance(failure, KafkaException) else None

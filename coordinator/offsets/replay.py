"""Takes in the records of committed offsets, of every version and of the key before Kafka 0.9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.classic.group import ClassicGroup
from coordinator.offsets.store import NEVER, CommittedOffset
from protocol.types import ZERO_UUID

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.shard import TransactionalProducer
    from protocol.messages.records_group import (
        LegacyOffsetCommitKey,
        LegacyOffsetCommitValue,
        OffsetCommitKey,
        OffsetCommitValue,
    )
    from protocol.types import Offset

_UNKNOWN_TIME = -1


def replay_offset(
    state: GroupState,
    key: OffsetCommitKey,
    value: OffsetCommitValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    """Take in a commit or a tombstone."""
    if value is None:
        state.offsets.remove(key.group, key.topic, key.partition)
        return
    committed = CommittedOffset(
        value.offset,
        value.leader_epoch,
        value.metadata,
        value.commit_timestamp,
        value.expire_timestamp,
        value.topic_id,
        offset,
    )
    _take_in(state, key, committed, producer)


def replay_legacy_offset(
    state: GroupState,
    key: LegacyOffsetCommitKey,
    value: LegacyOffsetCommitValue | None,
    offset: Offset,
    producer: TransactionalProducer | None,
) -> None:
    """Take in a commit or a tombstone under the oldest type of key."""
    if value is None:
        state.offsets.remove(key.group, key.topic, key.partition)
        return
    committed = CommittedOffset(
        value.offset, -1, value.metadata, value.commit_timestamp, NEVER, ZERO_UUID, offset
    )
    _take_in(state, key, committed, producer)


def replay_end_of_transaction(state: GroupState, producer: TransactionalProducer, commit: bool) -> None:
    """Take in the marker that ends a producer's transaction."""
    state.offsets.end_transaction(producer.producer_id, commit=commit)


def _take_in(
    state: GroupState,
    key: OffsetCommitKey | LegacyOffsetCommitKey,
    committed: CommittedOffset,
    producer: TransactionalProducer | None,
) -> None:
    group_id = key.group
    if group_id not in state.groups:  # nobody ever joined it: it only stores offsets
        state.groups[group_id] = ClassicGroup(group_id, _UNKNOWN_TIME)
    if producer is None:
        state.offsets.put(group_id, key.topic, key.partition, committed)
    else:
        state.offsets.put_pending(group_id, key.topic, key.partition, committed, producer.producer_id)

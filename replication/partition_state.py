"""Who holds and who leads one partition, as the metadata log has it.

A value: a change makes a new one. Epochs fence: a leader epoch names one term of one leader, a partition epoch one
version of the whole state.
Source: Kafka, metadata/PartitionRegistration.java.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from protocol.messages.records_metadata import PartitionChangeRecord, PartitionRecord
from protocol.types import LeaderEpoch, NodeId

NO_LEADER: NodeId = -1
NO_LEADER_CHANGE: NodeId = -2
"""In a PartitionChangeRecord: leader and leader epoch stay."""


class PartitionState(NamedTuple):
    """Who holds and who leads one partition."""

    assigned_replicas: tuple[NodeId, ...]
    """Preferred leader first."""
    directories: tuple[bytes, ...]
    """Log directory of each assigned replica, in the same order."""
    in_sync_replicas: tuple[NodeId, ...]
    removing_replicas: tuple[NodeId, ...]
    adding_replicas: tuple[NodeId, ...]
    leader_id: NodeId
    """-1 while nobody may lead."""
    leader_recovery_state: int
    """1 after an unclean election, until the leader has recovered."""
    leader_epoch: LeaderEpoch
    """Rises with every record that names a leader, also when it names the same one."""
    partition_epoch: int
    """Rises with every change; a compare-and-swap on this state compares it."""
    eligible_leader_replicas: tuple[NodeId, ...]
    last_known_leaders: tuple[NodeId, ...]


def partition_record(topic_id: bytes, index: int, state: PartitionState) -> PartitionRecord:
    """Return the record that creates partition `index` in `state`."""
    return PartitionRecord(
        partition_id=index,
        topic_id=topic_id,
        replicas=list(state.assigned_replicas),
        isr=list(state.in_sync_replicas),
        removing_replicas=list(state.removing_replicas),
        adding_replicas=list(state.adding_replicas),
        leader=state.leader_id,
        leader_recovery_state=state.leader_recovery_state,
        leader_epoch=state.leader_epoch,
        partition_epoch=state.partition_epoch,
        directories=list(state.directories),
        eligible_leader_replicas=list(state.eligible_leader_replicas) or None,
        last_known_elr=list(state.last_known_leaders) or None,
    )


def merge_partition(former: PartitionState, record: PartitionChangeRecord) -> PartitionState:
    """Return `former` with the fields that the record names changed, and its epochs raised."""
    names_leader = record.leader != NO_LEADER_CHANGE
    return PartitionState(
        assigned_replicas=_changed(former.assigned_replicas, record.replicas),
        directories=_changed(former.directories, record.directories),
        in_sync_replicas=_changed(former.in_sync_replicas, record.isr),
        removing_replicas=_changed(former.removing_replicas, record.removing_replicas),
        adding_replicas=_changed(former.adding_replicas, record.adding_replicas),
        leader_id=record.leader if names_leader else former.leader_id,
        leader_recovery_state=(
            former.leader_recovery_state if record.leader_recovery_state < 0 else record.leader_recovery_state
        ),
        leader_epoch=former.leader_epoch + 1 if names_leader else former.leader_epoch,
        partition_epoch=former.partition_epoch + 1,
        eligible_leader_replicas=_changed(former.eligible_leader_replicas, record.eligible_leader_replicas),
        last_known_leaders=_changed(former.last_known_leaders, record.last_known_elr),
    )


def _changed(former: tuple[Any, ...], new: list[Any] | None) -> tuple[Any, ...]:
    return former if new is None else tuple(new)


def partition_from(record: PartitionRecord) -> PartitionState:
    return PartitionState(
        assigned_replicas=tuple(record.replicas),
        directories=tuple(record.directories),
        in_sync_replicas=tuple(record.isr),
        removing_replicas=tuple(record.removing_replicas),
        adding_replicas=tuple(record.adding_replicas),
        leader_id=record.leader,
        leader_recovery_state=record.leader_recovery_state,
        leader_epoch=record.leader_epoch,
        partition_epoch=record.partition_epoch,
        eligible_leader_replicas=tuple(record.eligible_leader_replicas or ()),
        last_known_leaders=tuple(record.last_known_elr or ()),
    )

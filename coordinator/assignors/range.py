"""The range assignor: of every topic each subscriber gets one run of neighbouring partitions.

The subscribers of a topic stand in one order, static members first (by instance id, which survives a restart, where a
member id does not), then the others by member id. The first ones get one partition more when the division leaves a
rest. Topics with as many partitions and the same subscribers are therefore co-partitioned: partition 3 of each goes to
the same member, which is what joins rely on. Balance is per topic: with many small topics the first members have most.

Current assignments matter only in that who joins or leaves last in the order moves least.
Source: Kafka group-coordinator, RangeAssignor.java (4.3.1), whose answers these are exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coordinator.assignors.contract import Assignment, Members, PartitionCounts

NAME = "range"


def assign(members: Members, partition_counts: PartitionCounts) -> dict[str, Assignment]:
    """Return the new target of every member; see `coordinator.assignors.contract`."""
    subscribers: dict[bytes, list[str]] = {}
    for member_id in sorted(members, key=lambda member_id: _place(members, member_id)):
        for topic_id in members[member_id].topics:
            if topic_id in partition_counts:
                subscribers.setdefault(topic_id, []).append(member_id)
    targets: dict[str, dict[bytes, frozenset[int]]] = {member_id: {} for member_id in members}
    for topic_id, member_ids in subscribers.items():
        partition_count = partition_counts[topic_id]
        share, rest = divmod(partition_count, len(member_ids))
        start = 0
        for index, member_id in enumerate(member_ids):
            if start == partition_count:
                break
            end = start + share + (index < rest)
            targets[member_id][topic_id] = frozenset(range(start, end))
            start = end
    return {
        member_id: members[member_id].assigned if target == members[member_id].assigned else target
        for member_id, target in targets.items()
    }


def _place(members: Members, member_id: str) -> tuple[bool, str]:
    instance_id = members[member_id].instance_id
    return (True, member_id) if instance_id is None else (False, instance_id)

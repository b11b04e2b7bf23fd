"""What the members of a group hold and may keep: the start of every sticky assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coordinator.assignors.contract import Assignment, Members, PartitionCounts


def held(members: Members, partition_counts: PartitionCounts) -> dict[str, Assignment]:
    """Return, by member, the part of its assignment it is entitled to: subscribed, existing, and nobody else's.

    Of a partition that several have, the first member keeps it: the assignment of a group that changed its protocol was
    made by a client, and may say anything. One that is right as it is comes back as the same object.
    """
    taken: dict[bytes, set[int]] = {}
    holdings: dict[str, Assignment] = {}
    for member_id, member in members.items():
        kept: dict[bytes, frozenset[int]] = {}
        unchanged = True
        for topic_id, partitions in member.assigned.items():
            valid = (
                _valid(partitions, partition_counts.get(topic_id, 0)) if topic_id in member.topics else None
            )
            if valid:
                others = taken.setdefault(topic_id, set())
                if not others.isdisjoint(valid):
                    valid = valid - others
                others |= valid
            if valid:
                kept[topic_id] = valid
            unchanged = unchanged and bool(valid) and valid is partitions
        holdings[member_id] = member.assigned if unchanged else kept
    return holdings


def _valid(partitions: frozenset[int], partition_count: int) -> frozenset[int]:
    if partitions and max(partitions) < partition_count and min(partitions) >= 0:
        return partitions
    return frozenset(partition for partition in partitions if 0 <= partition < partition_count)

"""The uniform assignor: every member gets as many partitions as any other, and keeps what it has where that allows it.

Balance counts partitions over all topics and comes before stickiness; racks play no part, as in Kafka 4.3. Groups
whose members all have the same topics, nearly all, are balanced in one pass (`homogeneous`), the others by
moving partitions until nothing is gained (`heterogeneous`).

Source: KIP-848; Kafka group-coordinator, UniformAssignor.java (4.3.1). Kafka takes the slower way for any group with a
pattern; here members whose patterns found the same topics go the fast one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.assignors import heterogeneous, homogeneous
from coordinator.assignors.holdings import held

if TYPE_CHECKING:
    from coordinator.assignors.contract import Assignment, Members, PartitionCounts

NAME = "uniform"


def assign(members: Members, partition_counts: PartitionCounts) -> dict[str, Assignment]:
    """Return the new target of every member; see `coordinator.assignors.contract`."""
    if not members:
        return {}
    ordered = {member_id: members[member_id] for member_id in sorted(members)}
    holdings = held(ordered, partition_counts)
    topics = next(iter(ordered.values())).topics
    if all(member.topics == topics for member in ordered.values()):
        return homogeneous.spread(topics, partition_counts, holdings)
    return heterogeneous.balance(ordered, partition_counts, holdings)

"""Spread the partitions of some topics over members that all subscribe to all of them.

Of P partitions and M members each gets P // M, and P % M of them one more. Who has more than that gives up what is
above; who has fewer is filled up with what is free. No more partitions move than balance demands: the extra one
goes to those who have it already.

Linear in partitions and members. Source: Kafka group-coordinator, UniformHomogeneousAssignmentBuilder.java (4.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coordinator.assignors.contract import Assignment, PartitionCounts


def spread(
    topics: AbstractSet[bytes], partition_counts: PartitionCounts, holdings: Mapping[str, Assignment]
) -> dict[str, Assignment]:
    """Return the new target of every member of `holdings`, which says what each has and may keep."""
    counts = {
        topic_id: partition_counts[topic_id] for topic_id in sorted(topics) if topic_id in partition_counts
    }
    free = _Pool(_without_owner(counts, holdings))
    sizes = {member_id: sum(map(len, assignment.values())) for member_id, assignment in holdings.items()}
    quotas = _quotas(sum(counts.values()), sizes)
    targets = dict(holdings)
    for member_id, size in sizes.items():
        if size > quotas[member_id]:
            targets[member_id] = _trim(holdings[member_id], quotas[member_id], free)
    for member_id, size in sizes.items():
        if size < quotas[member_id]:
            targets[member_id] = free.deal(holdings[member_id], quotas[member_id] - size)
    return targets


def _quotas(partition_count: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return how many partitions each member gets in the end."""
    share, extras = divmod(partition_count, len(sizes))
    above = [member_id for member_id, size in sizes.items() if size > share][:extras]
    others = [member_id for member_id, size in sizes.items() if size <= share]
    spare = extras - len(above)  # more than there are `others` it never is: `above` is then cut short
    quotas = dict.fromkeys(sizes, share)
    for member_id in [*above, *others[len(others) - spare :]]:
        quotas[member_id] += 1
    return quotas


def _without_owner(
    counts: Mapping[bytes, int], holdings: Mapping[str, Assignment]
) -> Iterator[tuple[bytes, list[int]]]:
    owned: dict[bytes, list[frozenset[int]]] = {}
    for assignment in holdings.values():
        for topic_id, partitions in assignment.items():
            owned.setdefault(topic_id, []).append(partitions)
    for topic_id, count in counts.items():
        parts = owned.get(topic_id, [])
        if sum(map(len, parts)) < count:
            yield topic_id, sorted(frozenset(range(count)).difference(*parts))


def _trim(assignment: Assignment, quota: int, free: _Pool) -> Assignment:
    """Return the first `quota` partitions; the others become free."""
    kept: dict[bytes, frozenset[int]] = {}
    for topic_id in sorted(assignment):
        partitions = assignment[topic_id]
        if len(partitions) > quota:
            ordered = sorted(partitions)
            free.put(topic_id, ordered[quota:])
            partitions = frozenset(ordered[:quota])
        quota -= len(partitions)
        if partitions:
            kept[topic_id] = partitions
    return kept


class _Pool:
    """Free partitions, dealt in the order they came."""

    def __init__(self, runs: Iterator[tuple[bytes, list[int]]]) -> None:
        self._runs = list(runs)
        self._run = 0
        """Index of the first run that has some left."""
        self._position = 0
        """Within that run, the first that is left."""

    def put(self, topic_id: bytes, partitions: list[int]) -> None:
        self._runs.append((topic_id, partitions))

    def deal(self, assignment: Assignment, count: int) -> Assignment:
        """Return the assignment with `count` more partitions."""
        target = dict(assignment)
        while count:
            topic_id, partitions = self._runs[self._run]
            dealt = partitions[self._position : self._position + count]
            target[topic_id] = target.get(topic_id, frozenset()).union(dealt)
            count -= len(dealt)
            self._position += len(dealt)
            if self._position == len(partitions):
                self._run += 1
                self._position = 0
        return target

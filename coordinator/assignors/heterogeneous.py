"""Balance a group whose members subscribe to different topics.

Members keep what they have; free partitions go to the least loaded subscriber of their topic; then, topic by topic,
partitions go from the most to the least loaded of its subscribers while that evens their loads out. A load is a number
of partitions, over all topics.

Where the subscribers of a topic all have the same subscriptions their loads end up one apart at most. Where
subscriptions overlap, each topic is balanced by itself, and loads may differ by more: perfect balance would
have to move partitions along chains of topics. Rounds over the topics are limited as in Kafka.

The answers are those of Kafka group-coordinator, UniformHeterogeneousAssignmentBuilder.java (4.3.1), ties included (but
topic ids compare as bytes here).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coordinator.assignors.contract import Assignment, Members, PartitionCounts

_ROUNDS_MAX = 16
"""Over all topics. Overlapping subscriptions may converge slowly; each round about halves what is uneven."""

_NOBODY = -1


def balance(
    members: Members, partition_counts: PartitionCounts, holdings: Mapping[str, Assignment]
) -> dict[str, Assignment]:
    """Return the new target of every member; `holdings` says what each has and may keep."""
    balancer = _Balancer(members, partition_counts, holdings)
    balancer.deal_free_partitions()
    balancer.even_out()
    return balancer.targets()


class _Balancer:
    """An assignment in the making. Members are numbered in their order."""

    def __init__(
        self, members: Members, partition_counts: PartitionCounts, holdings: Mapping[str, Assignment]
    ) -> None:
        self._member_ids = list(holdings)
        self._holdings = list(holdings.values())
        self._loads = [sum(map(len, assignment.values())) for assignment in holdings.values()]
        self._subscribers = _subscribers(members, partition_counts)
        self._owners = {topic_id: [_NOBODY] * partition_counts[topic_id] for topic_id in self._subscribers}
        for member, assignment in enumerate(holdings.values()):
            for topic_id, partitions in assignment.items():
                owners = self._owners[topic_id]
                for partition in partitions:
                    owners[partition] = member
        self._topics = sorted(self._subscribers, key=self._urgency)
        self._altered: dict[tuple[int, bytes], set[int]] = {}
        """What members have of topics, where it is not what they had."""

    def _urgency(self, topic_id: bytes) -> tuple[float, int, bytes]:
        """Order topics: first those that weigh most on each subscriber, then those with the fewest to choose from."""
        subscribers = len(self._subscribers[topic_id])
        return -len(self._owners[topic_id]) / subscribers, subscribers, topic_id

    def deal_free_partitions(self) -> None:
        """Give each partition without an owner to the least loaded subscriber."""
        for topic_id in self._topics:
            owners = self._owners[topic_id]
            if _NOBODY not in owners:
                continue
            receivers = self._least_loaded_first(self._by_load(topic_id))
            for partition, owner in enumerate(owners):
                if owner == _NOBODY:
                    self._give(topic_id, partition, receivers)

    def even_out(self) -> None:
        """Move partitions until a whole round over the topics moves none."""
        topics = [topic_id for topic_id in self._topics if len(self._subscribers[topic_id]) > 1]
        last_moved: bytes | None = None
        for _ in range(_ROUNDS_MAX):
            for topic_id in topics:
                if topic_id == last_moved:
                    return
                if self._even_out_topic(topic_id) or last_moved is None:
                    last_moved = topic_id

    def targets(self) -> dict[str, Assignment]:
        altered: dict[int, dict[bytes, frozenset[int]]] = {}
        for (member, topic_id), partitions in self._altered.items():
            target = altered.setdefault(member, dict(self._holdings[member]))
            if partitions:
                target[topic_id] = frozenset(partitions)
            else:
                target.pop(topic_id, None)
        return {
            member_id: altered.get(member, self._holdings[member])
            for member, member_id in enumerate(self._member_ids)
        }

    def _even_out_topic(self, topic_id: bytes) -> bool:
        """Return whether a partition of the topic moved."""
        by_load = self._by_load(topic_id)
        if self._loads[by_load[-1]] - self._loads[by_load[0]] <= 1:
            return False
        owned: dict[int, list[int]] = {}
        for partition, owner in enumerate(self._owners[topic_id]):
            owned.setdefault(owner, []).append(partition)
        receivers = self._least_loaded_first(by_load)
        moved = False
        for giver in self._givers(by_load, owned):
            if self._loads[giver] - receivers[0][0] <= 1:
                break
            partition = owned[giver].pop()
            self._part(topic_id, giver).discard(partition)
            self._loads[giver] -= 1
            self._give(topic_id, partition, receivers)
            moved = True
        return moved

    def _givers(self, by_load: list[int], owned: Mapping[int, list[int]]) -> Iterator[int]:
        """Yield, again and again, one of the most loaded that has partitions of the topic; each is to give one.

        A round asks all of one load, the highest; the next asks the same again, joined by those who had one less
        from the start. Who has nothing to give drops out, and the last one takes the place.
        """
        outside = len(by_load)
        """Those before this index have a lower load than the round's."""
        asked: list[int] = []
        load = 0
        while asked or outside:
            load = load - 1 if asked else self._loads[by_load[outside - 1]]
            joining = outside
            while joining and self._loads[by_load[joining - 1]] == load:
                joining -= 1
            asked[:0] = by_load[joining:outside]
            outside = joining
            for place in range(len(asked) - 1, -1, -1):
                if owned.get(asked[place]):
                    yield asked[place]
                else:
                    asked[place] = asked[-1]
                    asked.pop()

    def _by_load(self, topic_id: bytes) -> list[int]:
        return sorted(self._subscribers[topic_id], key=self._loads.__getitem__)

    def _least_loaded_first(self, by_load: list[int]) -> list[tuple[int, int, int]]:
        """Return a heap of load, place among equals, member."""
        heap = [(self._loads[member], place, member) for place, member in enumerate(by_load)]
        heapify(heap)
        return heap

    def _give(self, topic_id: bytes, partition: int, receivers: list[tuple[int, int, int]]) -> None:
        """Make the least loaded of `receivers` the owner of a partition that has none."""
        load, place, member = receivers[0]
        heapreplace(receivers, (load + 1, place, member))
        self._owners[topic_id][partition] = member
        self._part(topic_id, member).add(partition)
        self._loads[member] += 1

    def _part(self, topic_id: bytes, member: int) -> set[int]:
        """Return the partitions of the topic that the member has, to be changed."""
        part = self._altered.get((member, topic_id))
        if part is None:
            part = self._altered[member, topic_id] = set(self._holdings[member].get(topic_id, ()))
        return part


def _subscribers(members: Members, partition_counts: PartitionCounts) -> dict[bytes, list[int]]:
    """Return, by topic, the numbers of its subscribers, ascending."""
    subscribers: dict[bytes, list[int]] = {}
    for number, member in enumerate(members.values()):
        for topic_id in member.topics:
            if topic_id in partition_counts:
                subscribers.setdefault(topic_id, []).append(number)
    return subscribers

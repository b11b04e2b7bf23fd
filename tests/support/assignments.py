"""Groups for tests of the assignors: random ones, and what holds of any assignment."""

from __future__ import annotations

import random
from collections.abc import Mapping

from hypothesis import strategies as st

from coordinator.assignors.contract import Assignment, MemberSpec

Group = tuple[dict[str, MemberSpec], dict[bytes, int]]
"""Members and partition counts, as an assignor takes them."""


def topic_id(number: int) -> bytes:
    """Return an id whose order is that of the numbers, for Java's signed comparison, too."""
    return number.to_bytes(16, "big")


def everything(count: int, topics: int = 1) -> dict[bytes, int]:
    """Return the counts of `topics` topics with `count` partitions each."""
    return {topic_id(number): count for number in range(1, topics + 1)}


def size(assignment: Assignment) -> int:
    return sum(map(len, assignment.values()))


def moved(members: Mapping[str, MemberSpec], targets: Mapping[str, Assignment]) -> int:
    """Return how many partitions somebody lost who is still subscribed to them."""
    return sum(
        len(partitions - targets[member_id].get(topic, frozenset()))
        for member_id, member in members.items()
        for topic, partitions in member.assigned.items()
        if topic in member.topics
    )


def check_complete(group: Group, targets: Mapping[str, Assignment]) -> None:
    """Every partition of a subscribed topic has exactly one owner, and that is a subscriber."""
    members, counts = group
    owners: dict[tuple[bytes, int], str] = {}
    assert targets.keys() == members.keys()
    for member_id, assignment in targets.items():
        for topic, partitions in assignment.items():
            assert topic in members[member_id].topics
            assert partitions, "a topic without partitions is not named"
            for partition in partitions:
                assert owners.setdefault((topic, partition), member_id) == member_id
    subscribed = {topic for member in members.values() for topic in member.topics if topic in counts}
    assert owners.keys() == {(topic, partition) for topic in subscribed for partition in range(counts[topic])}


@st.composite
def groups(draw: st.DrawFn, *, topics_max: int = 6, members_max: int = 9) -> Group:
    """Groups in any state between two assignments: topics grew, subscriptions changed, members came, went, and
    replaced each other; half of them with the same subscriptions for all."""
    topics = [topic_id(number) for number in range(1, draw(st.integers(1, topics_max)) + 1)]
    counts = {topic: draw(st.integers(1, 12) | st.integers(20, 30)) for topic in topics}
    member_ids = [f"member-{number}" for number in range(draw(st.integers(1, members_max)))]
    some_topics = st.frozensets(st.sampled_from(topics))
    common = draw(st.none() | st.just(frozenset(topics)) | some_topics)
    owners: dict[str, dict[bytes, set[int]]] = {member_id: {} for member_id in member_ids}
    for topic in draw(some_topics):
        few = draw(st.lists(st.sampled_from(member_ids), min_size=1, max_size=5))  # so that loads are uneven
        for partition in range(counts[topic]):
            owner = draw(st.sampled_from([*few, None]))
            if owner is not None:
                owners[owner].setdefault(topic, set()).add(partition)
    return {
        member_id: MemberSpec(
            topics=common if common is not None else draw(some_topics),
            assigned={topic: frozenset(partitions) for topic, partitions in owners[member_id].items()},
            instance_id=draw(st.none() | st.just(f"instance-{100 - number}")),
        )
        for number, member_id in enumerate(member_ids)
    }, counts


def uneven_group(seed: int) -> Group:
    """A group of overlapping subscriptions in which few members hold much: what takes several rounds to even out."""
    chance = random.Random(seed)
    topics = [topic_id(number) for number in range(1, chance.randint(2, 6) + 1)]
    counts = {topic: chance.randint(5, 60) for topic in topics}
    subscriptions = {
        f"member-{number:02}": {topic for topic in topics if chance.random() < 0.7}
        for number in range(chance.randint(3, 14))
    }
    owned: dict[str, dict[bytes, frozenset[int]]] = {member_id: {} for member_id in subscriptions}
    for topic in topics:
        subscribers = [member_id for member_id, subscribed in subscriptions.items() if topic in subscribed]
        owners = chance.sample(subscribers, min(len(subscribers), chance.randint(1, 5)))
        for place, owner in enumerate(owners):
            owned[owner][topic] = frozenset(range(place, counts[topic], len(owners)))
    return {
        member_id: MemberSpec(frozenset(subscribed), owned[member_id])
        for member_id, subscribed in subscriptions.items()
    }, counts

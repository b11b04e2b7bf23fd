"""Goal: what is committed and pending is what the log says, whatever the order of commits, markers and restarts.

Method: hypothesis against a model that keeps the log as a list and reads every answer off it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from coordinator.internal_records import encode_key
from coordinator.offsets.store import NEVER, CommittedOffset, OffsetStore
from coordinator.shard import TransactionalProducer
from protocol.messages.records_group import OffsetCommitKey
from protocol.types import ZERO_UUID
from tests.support.offset_world import OffsetWorld
from tests.support.shards import Written

GROUPS = st.sampled_from(["g", "h"])
TOPICS = st.sampled_from(["t", "u"])
PARTITIONS = st.integers(0, 2)
PRODUCERS = st.integers(1, 3)
OFFSETS = st.integers(0, 1 << 40)

Place = tuple[str, str, int]


class Model:
    """Reads what must be committed and pending off the list of events."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def state(self) -> tuple[dict[Place, int], set[Place]]:
        """Return committed offsets, and the places where something is pending."""
        committed: dict[Place, tuple[int, int]] = {}
        pending: dict[int, dict[Place, tuple[int, int]]] = {}
        for position, (what, *details) in enumerate(self.events):
            if what == "commit":
                place, offset = details
                committed[place] = position, offset
            elif what == "pend":
                producer, place, offset = details
                pending.setdefault(producer, {})[place] = position, offset
            elif what == "tombstone":
                (place,) = details
                committed.pop(place, None)
                for held in pending.values():
                    held.pop(place, None)
            else:
                producer, commit = details
                for place, entry in pending.pop(producer, {}).items():
                    if commit and entry > committed.get(place, (-1, 0)):
                        committed[place] = entry
        return (
            {place: offset for place, (_, offset) in committed.items()},
            {place for held in pending.values() for place in held},
        )


class Offsets(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = OffsetWorld()
        self.model = Model()

    @rule(group=GROUPS, topic=TOPICS, partition=PARTITIONS, offset=OFFSETS)
    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        self.world.commit_offsets((topic, partition, offset), group_id=group)
        self.model.events.append(("commit", (group, topic, partition), offset))

    @rule(producer=PRODUCERS, group=GROUPS, topic=TOPICS, partition=PARTITIONS, offset=OFFSETS)
    def pend(self, producer: int, group: str, topic: str, partition: int, offset: int) -> None:
        self.world.commit_in_transaction(
            TransactionalProducer(producer, 0), (topic, partition, offset), group_id=group
        )
        self.model.events.append(("pend", producer, (group, topic, partition), offset))

    @rule(producer=PRODUCERS, commit=st.booleans())
    def end(self, producer: int, commit: bool) -> None:
        self.world.end_transaction(TransactionalProducer(producer, 0), commit=commit)
        self.model.events.append(("end", producer, commit))

    @rule(group=GROUPS, topic=TOPICS, partition=PARTITIONS)
    def tombstone(self, group: str, topic: str, partition: int) -> None:
        self.world.write(OffsetCommitKey(group=group, topic=topic, partition=partition), None)
        self.model.events.append(("tombstone", (group, topic, partition)))

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule()
    def restart_on_the_compacted_log(self) -> None:
        """Drop commits that a later record of the key makes void, as the cleaner does."""
        plain = [(at, w) for at, w in enumerate(self.world.log) if w.commit is None and w.producer is None]
        last = {written.key: at for at, written in plain}
        for at, written in plain:
            if written.value is not None and last[written.key] > at:
                nothing = encode_key(OffsetCommitKey(group="gone", topic="t", partition=0))
                self.world.log[at] = Written(nothing, None, None)
        self.world.restart()

    @invariant()
    def holds_what_the_log_says(self) -> None:
        store = self.world.shard.state.offsets
        committed, pending = self.model.state()
        for group in ("g", "h"):
            mine = {(t, p): offset for (g, t, p), offset in committed.items() if g == group}
            assert self.world.committed(group) == mine
            assert store.has_pending(group) == any(place[0] == group for place in pending)
            for topic in ("t", "u"):
                for partition in range(3):
                    place = (group, topic, partition)
                    assert store.is_pending(*place) == (place in pending)
                    assert store.exists(*place) == (place in pending or place in committed)
            places = {(g, t, p) for g, t, p in (*committed, *pending) if g == group}
            listed = list(store.partitions(group))
            assert len(listed) == len(places)
            assert {(group, *place) for place in listed} == places

    @invariant()
    def keeps_nothing_that_is_empty(self) -> None:
        store = self.world.shard.state.offsets
        committed, pending = self.model.state()
        assert set(store.groups()) == {place[0] for place in (*committed, *pending)}


TestOffsets = Offsets.TestCase
TestOffsets.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def offset(value: int, record_offset: int, topic_id: bytes = ZERO_UUID) -> CommittedOffset:
    return CommittedOffset(value, -1, "", 0, NEVER, topic_id, record_offset)


def test_topics_are_found_by_name_and_partitions_by_id() -> None:
    store, old, new = OffsetStore(), b"o" * 16, b"n" * 16
    store.put("g", "t", 0, offset(1, 0, old))
    store.put("g", "t", 1, offset(1, 1, new))
    store.put("g", "t", 2, offset(1, 2))
    store.put_pending("g", "t", 3, offset(1, 3, old), producer_id=7)
    store.put_pending("g", "u", 0, offset(1, 4, old), producer_id=7)
    assert store.topics_among("g", {"t", "u", "v"}) == {"t", "u"}
    assert store.topics_among("h", {"t"}) == set()
    assert store.of_topic("g", "t", {old, ZERO_UUID}) == [0, 2, 3]
    assert store.of_topic("g", "u", {new}) == []

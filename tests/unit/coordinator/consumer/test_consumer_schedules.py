"""Goal: whatever members, network, clock, topics and restarts do, no partition has two owners, epochs never go back,
and once all is well every partition has exactly one owner.

Method: random schedules of clients against one shard; the invariants are checked after every step, and a shard that is
replayed from the log must be the one that served.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.consumer.group import ConsumerGroup
from coordinator.consumer.member import STATIC_LEAVE_EPOCH
from coordinator.group_config import GroupConfig
from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS
from protocol.errors import ErrorCode
from tests.support.consumers import Consumer, settle
from tests.support.groups import Counted, GroupWorld
from tests.support.shards import Topics

NAMES = ("a", "b", "c", "d")
SUBSCRIPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"subscribed_topic_regex": "t.*"},
    {"instance_id": "static"},
)

STEP = st.one_of(
    st.tuples(st.just("beat"), st.sampled_from(NAMES)),
    st.tuples(st.just("beat"), st.sampled_from(NAMES)),
    st.tuples(st.just("slow"), st.sampled_from(NAMES)),
    st.tuples(st.just("lose answer"), st.sampled_from(NAMES)),
    st.tuples(st.just("leave"), st.sampled_from(NAMES)),
    st.tuples(st.just("away"), st.just("d")),
    st.tuples(st.just("crash"), st.sampled_from(NAMES)),
    st.tuples(st.just("other topics"), st.sampled_from(NAMES)),
    st.tuples(st.just("tick"), st.sampled_from([10, 1_000, 5_000, 31_000, 50_000])),
    st.tuples(st.just("topic"), st.integers(1, 5)),
    st.tuples(st.just("delete topic"), st.none()),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("refuse"), st.sampled_from(NAMES)),
)


class Schedule:
    def __init__(self) -> None:
        self.world = GroupWorld(config=GroupConfig(), topics=Topics(t1=4, t2=3))
        self.names = 0
        self.consumers = {name: self._new(name) for name in NAMES}
        self.group_epoch = 0
        self.member_epochs: dict[str, int] = {}

    def _new(self, name: str) -> Consumer:
        self.names += 1
        fields = SUBSCRIPTIONS[NAMES.index(name)]
        return Consumer(self.world, f"{name}{self.names}", "t1", "t2", **fields)

    def step(self, what: str, detail: Any) -> None:  # noqa: PLR0912 - flat
        world = self.world
        match what:
            case "beat":
                self.consumers[detail].beat()
            case "slow":
                self.consumers[detail].slow = not self.consumers[detail].slow
            case "lose answer":
                self.consumers[detail].lost = True
                self.consumers[detail].beat()
            case "leave":
                self.consumers[detail].leave()
                self.consumers[detail] = self._new(detail)
            case "away":
                self.consumers[detail].leave(STATIC_LEAVE_EPOCH)
                self.consumers[detail] = self._new(detail)
            case "crash":
                self.consumers[detail] = self._new(detail)
            case "other topics":
                if self.consumers[detail].epoch > 0 and detail != "c":
                    self.consumers[detail].beat(subscribed_topic_names=["t2"])
            case "tick":
                world.tick(detail)
            case "topic":
                world.create_topic("t2", max(detail, world.topics.partition_count("t2")))
            case "delete topic":
                if "t2" in world.topics.partitions:
                    world.delete_topic("t2")
            case "restart":
                world.restart()
            case "refuse":
                world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS
                self.consumers[detail].beat()
                world.writer.refusal = None
        self.check()

    def check(self) -> None:
        group = self.world.shard.state.groups.get("g")
        if group is None:
            return
        assert isinstance(group, ConsumerGroup)
        assert group.group_epoch >= self.group_epoch
        self.group_epoch = group.group_epoch
        owners: set[tuple[bytes, int]] = set()
        for member in group.members.values():
            assert member.member_epoch <= group.assignment_epoch <= group.group_epoch
            if member.member_epoch >= 0:
                assert member.member_epoch >= self.member_epochs.get(member.member_id, 0)
                self.member_epochs[member.member_id] = member.member_epoch
            for partitions in (member.assigned, member.revoking):
                for topic_id, numbers in partitions.items():
                    for number in numbers:
                        assert (topic_id, number) not in owners, "two owners"
                        owners.add((topic_id, number))
        assert owners == {
            (topic_id, number) for topic_id, numbers in group.owner_epochs.items() for number in numbers
        }
        # What clients hold, the coordinator knows of: a client that was fenced has to notice by itself.
        for consumer in self.consumers.values():
            known = group.members.get(consumer.member_id)
            if known is not None and consumer.epoch in (known.member_epoch, known.previous_member_epoch):
                assert consumer.partitions <= {
                    (topic_id, number)
                    for partitions in (known.assigned, known.revoking)
                    for topic_id, numbers in partitions.items()
                    for number in numbers
                }
        self.check_replay(group)

    def check_replay(self, group: ConsumerGroup) -> None:
        shard = GroupShard(self.world.config, self.world.topics, Counted(), self.world.own_configs)
        for offset, written in enumerate(self.world.log):
            record = GROUP_RECORDS.decode(written.key, written.value)
            assert record is not None
            shard.replay(record, offset, None)
        replayed = shard.state.groups["g"]
        assert isinstance(replayed, ConsumerGroup)
        for slot in set(ConsumerGroup.__slots__) - {"checked_epoch", "asked_to_join"}:
            assert getattr(replayed, slot) == getattr(group, slot), slot


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=60))
def test_whatever_happens_partitions_have_one_owner_and_all_is_assigned_in_the_end(
    steps: list[tuple[str, Any]],
) -> None:
    schedule = Schedule()
    for what, detail in steps:
        schedule.step(what, detail)
    world = schedule.world
    world.create_topic("t2", max(3, world.topics.partition_count("t2")))
    for consumer in schedule.consumers.values():  # everybody wants everything again
        if consumer.epoch > 0 and "subscribed_topic_regex" not in consumer.fields:
            consumer.beat(subscribed_topic_names=["t1", "t2"])
    settle(world, *schedule.consumers.values(), rounds=60)
    schedule.check()
    wanted = {
        (world.topics.topic_id(name), number)
        for name in ("t1", "t2")
        for number in range(world.topics.partition_count(name))
    }
    held = [partition for consumer in schedule.consumers.values() for partition in consumer.partitions]
    assert sorted(held) == sorted(wanted)

"""Goal: whatever members do, in whatever order, a classic group stays whole, goes on, and forgets nobody who waits.

Method: random schedules of requests, silence, restarts, refused appends and held-back commits, from members that are
mostly but not always right about themselves. After every step the group's invariants are checked; in the end nobody
says anything any more, and all must have been answered and the group be empty.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.classic.states import ClassicState
from coordinator.group_config import GroupConfig
from protocol.errors import ErrorCode
from protocol.messages.records_group import GroupMetadataValue
from tests.support.classic_groups import GROUP, REBALANCE_MS, SESSION_MS, ClassicWorld
from tests.support.shards import Answer

INSTANCES = ("a", "b")
CHOICES = ([("range", b"1")], [("range", b"2")], [("range", b"1"), ("sticky", b"1")], [("sticky", b"1")])

NUMBER = st.integers(0, 5)
JOIN = st.tuples(st.just("join"), st.sampled_from([3, 9]), st.sampled_from([None, *INSTANCES]))
REJOIN = st.tuples(st.just("rejoin"), NUMBER, st.sampled_from([0, 0, 0, 1, 2, 3]))
SYNC = st.tuples(st.just("sync"), NUMBER, st.sampled_from([0, 0, 0, -1]))
HEARTBEAT = st.tuples(st.just("heartbeat"), NUMBER, st.sampled_from([0, 0, 0, -1]))
LEAVE = st.tuples(st.just("leave"), NUMBER, st.integers(0, 1))
TICK = st.tuples(st.just("tick"), st.sampled_from([100, 3_000, SESSION_MS, REBALANCE_MS]), st.just(0))
TROUBLE = st.tuples(
    st.sampled_from(["restart", "refuse", "refuse", "hold", "commit"]), st.just(0), st.just(0)
)
STEPS = st.lists(
    st.one_of(JOIN, REJOIN, REJOIN, REJOIN, REJOIN, SYNC, SYNC, SYNC, HEARTBEAT, LEAVE, TICK, TROUBLE),
    min_size=20,
    max_size=60,
)


class Crowd:
    """The members and what they have asked."""

    def __init__(self, delay_ms: int, size: int) -> None:
        self.world = ClassicWorld(GroupConfig(initial_rebalance_delay_ms=delay_ms, group_size_max=size))
        self.asked: list[Answer] = []
        self.known: list[tuple[str, str | None]] = []
        """Ids that somebody was told, with the instance id that was given with it."""
        if not delay_ms and size > len(INSTANCES):
            self.known += zip(self.world.static(*INSTANCES), INSTANCES, strict=True)

    def step(self, action: str, number: int, detail: int | str | None) -> None:
        world = self.world
        if action == "join":
            assert detail is None or isinstance(detail, str)
            self._ask(world.join(version=number, instance_id=detail), detail)
        elif action == "tick":
            world.tick(number)
        elif action == "restart":
            world.commit()
            world.restart()
        elif action == "refuse":
            world.writer.refusal = None if world.writer.refusal else ErrorCode.NOT_ENOUGH_REPLICAS
        elif action == "hold":
            world.writer.commits_at_once = False
        elif action == "commit":
            world.writer.commits_at_once = True
            world.commit()
        elif self.known:
            assert isinstance(detail, int)
            self._member_step(action, detail, *self.known[-1 - number % len(self.known)])
        self._learn()

    def _member_step(self, action: str, detail: int, member_id: str, instance_id: str | None) -> None:
        world = self.world
        group = world.shard.state.groups.get(GROUP)
        generation = (0 if group is None else group.generation_id) + detail
        if action == "rejoin":
            self._ask(world.join(member_id, instance_id=instance_id, protocols=CHOICES[detail]), instance_id)
        elif action == "sync":
            shares = {id_: id_.encode() for id_, _ in self.known}
            name = None if group is None else group.protocol_name
            answer = world.sync(member_id, generation, shares, instance_id=instance_id, protocol_name=name)
            self._ask(answer, instance_id)
        elif action == "heartbeat":
            self._ask(world.send_heartbeat(member_id, generation, instance_id), instance_id)
        else:
            self._ask(world.send_leave((member_id if detail else "", instance_id)), instance_id)

    def _ask(self, answer: Answer, instance_id: str | None) -> None:
        answer.instance_id = instance_id  # type: ignore[attr-defined]
        self.asked.append(answer)

    def _learn(self) -> None:
        """Take in the member ids that answers told."""
        for answer in self.asked:
            told = getattr(answer.response, "member_id", "")
            known = (told, answer.instance_id)  # type: ignore[attr-defined]
            if told and known not in self.known:
                self.known.append(known)


def check(world: ClassicWorld) -> None:
    """What is true of a group at all times."""
    group = world.shard.state.groups.get(GROUP)
    if group is None:
        return
    members = group.members.values()
    timers = world.timers()
    assert (group.leader_id in group.members) if members else group.leader_id is None
    assert group.joining == sum(member.join is not None for member in members)
    assert group.static_members == {m.instance_id: m.member_id for m in members if m.instance_id is not None}
    assert group.pending_sync <= group.members.keys()
    assert not group.pending_members & group.members.keys()
    assert not group.replacements
    if group.state is not ClassicState.PREPARING_REBALANCE:
        assert group.joining == 0
        assert group.initial_delay_left_ms is None
        assert (group.state is ClassicState.EMPTY) == (not members)
    else:
        assert group.join_timer in timers
    if group.state is not ClassicState.COMPLETING_REBALANCE:
        assert all(member.sync is None for member in members)
    elif group.pending_sync:
        assert group.sync_timer in timers
    for member in members:
        assert member.is_waiting or member.session_timer in timers
        assert group.protocol_name is None or group.protocol_name in member.protocols or group.joining
    assert all(("classic pending", GROUP, id_) in timers for id_ in group.pending_members)


@given(STEPS, st.sampled_from([0, 3_000]), st.sampled_from([2, 100]))
def test_a_group_stays_whole_and_goes_on(
    steps: list[tuple[str, int, int | str | None]], delay_ms: int, size: int
) -> None:
    crowd = Crowd(delay_ms, size)
    world = crowd.world
    generation = 0
    for step in steps:
        crowd.step(*step)
        check(world)
        group = world.shard.state.groups.get(GROUP)
        if step[0] == "restart" or group is None:
            generation = 0
        if group is not None:
            assert group.generation_id >= generation
            generation = group.generation_id
    world.writer.refusal = None
    world.writer.commits_at_once = True
    world.commit()
    world.tick(3 * 300_000)
    assert all(answer.response is not None for answer in crowd.asked)
    if GROUP in world.shard.state.groups:
        assert world.state is ClassicState.EMPTY
        assert not world.group.pending_members


@given(STEPS)
def test_a_restart_finds_the_last_record(steps: list[tuple[str, int, int | str | None]]) -> None:
    crowd = Crowd(0, 100)
    world = crowd.world
    for step in steps:
        crowd.step(*step)
    world.commit()
    world.restart()
    values = [record.value for record in world.records()]
    last = values[-1] if values else None
    if last is None:
        assert GROUP not in world.shard.state.groups
        return
    assert isinstance(last, GroupMetadataValue)
    group = world.group
    assert (group.generation_id, group.protocol_name, group.leader_id) == (
        last.generation,
        last.protocol,
        last.leader,
    )
    assert [(m.member_id, m.assignment) for m in group.members.values()] == [
        (m.member_id, m.assignment) for m in last.members
    ]
    assert group.state is (ClassicState.STABLE if last.members else ClassicState.EMPTY)

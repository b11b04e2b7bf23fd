"""Goal: in every state of a classic group, every request gets what Kafka gives it, and leaves the state it should.

Method: one table of requests by state. A group of two members, the leader and a follower, is brought into the state,
the request is put in, and the answer's error code (or that it waits) and the state afterwards are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from coordinator.classic.states import PREDECESSORS, ClassicState
from protocol.errors import ErrorCode
from tests.support.classic_groups import GROUP, ClassicWorld
from tests.support.shards import Answer


class Scene:
    """A group in a state, with a leader and a follower; in PREPARING the leader has joined again and waits."""

    def __init__(self, state: ClassicState | None) -> None:
        self.world = ClassicWorld()
        self.leader, self.follower, self.generation = "nobody-1", "nobody-2", 0
        if state is None:
            return
        self.leader, self.follower = self.world.begin_generation(2)
        if state is ClassicState.EMPTY:
            assert self.world.leave(self.leader, self.follower) == [ErrorCode.NONE] * 2
        elif state is not ClassicState.COMPLETING_REBALANCE:
            self.world.assign([self.leader, self.follower])
        if state is ClassicState.PREPARING_REBALANCE:
            assert self.world.join(self.leader).response is None
        self.generation = self.world.group.generation_id
        assert self.world.state is state

    @property
    def state(self) -> ClassicState | None:
        group = self.world.shard.state.groups.get(GROUP)
        return None if group is None else group.state


def _left(scene: Scene, *members: str) -> ErrorCode:
    return scene.world.leave(*members)[0]


REQUESTS: dict[str, Callable[[Scene], Any]] = {
    "join: new, gets an id first": lambda s: s.world.join(),
    "join: new, before KIP-394": lambda s: s.world.join(version=3),
    "join: new, static": lambda s: s.world.join(instance_id="i"),
    "join: with an id that nobody has": lambda s: s.world.join("nobody"),
    "join: static, with an id that nobody has": lambda s: s.world.join("nobody", instance_id="i"),
    "join: the leader": lambda s: s.world.join(s.leader),
    "join: the follower": lambda s: s.world.join(s.follower),
    "join: the follower with other metadata": lambda s: s.world.join(
        s.follower, protocols=[("range", b"more")]
    ),
    "join: the follower, with more protocols": lambda s: s.world.join(
        s.follower, protocols=[("range", b"topics"), ("sticky", b"")]
    ),
    "join: another protocol": lambda s: s.world.join(version=3, protocols=[("sticky", b"")]),
    "join: another protocol type": lambda s: s.world.join(version=3, protocol_type="connect"),
    "join: no protocol": lambda s: s.world.join(version=3, protocols=[]),
    "join: no protocol type": lambda s: s.world.join(version=3, protocol_type=""),
    "join: the follower with another protocol": lambda s: s.world.join(
        s.follower, protocols=[("sticky", b"")]
    ),
    "join: session too short": lambda s: s.world.join(session_ms=5_999),
    "join: session too long": lambda s: s.world.join(session_ms=1_800_001),
    "sync: the leader": lambda s: s.world.sync(s.leader, s.generation, {s.leader: b"a"}),
    "sync: the follower": lambda s: s.world.sync(s.follower, s.generation),
    "sync: old generation": lambda s: s.world.sync(s.follower, s.generation - 1),
    "sync: future generation": lambda s: s.world.sync(s.leader, s.generation + 1),
    "sync: nobody": lambda s: s.world.sync("nobody", s.generation),
    "sync: nobody, static": lambda s: s.world.sync("nobody", s.generation, instance_id="i"),
    "sync: another protocol": lambda s: s.world.sync(s.leader, s.generation, protocol_name="sticky"),
    "sync: another protocol type": lambda s: s.world.sync(s.leader, s.generation, protocol_type="connect"),
    "heartbeat: the leader": lambda s: s.world.heartbeat(s.leader, s.generation),
    "heartbeat: the follower": lambda s: s.world.heartbeat(s.follower, s.generation),
    "heartbeat: old generation": lambda s: s.world.heartbeat(s.leader, s.generation - 1),
    "heartbeat: future generation": lambda s: s.world.heartbeat(s.leader, s.generation + 1),
    "heartbeat: nobody": lambda s: s.world.heartbeat("nobody", s.generation),
    "heartbeat: nobody, static": lambda s: s.world.heartbeat("nobody", s.generation, "i"),
    "leave: the leader": lambda s: _left(s, s.leader),
    "leave: the follower": lambda s: _left(s, s.follower),
    "leave: both": lambda s: _left(s, s.leader, s.follower),
    "leave: nobody": lambda s: _left(s, "nobody"),
    "leave: without id or instance id": lambda s: _left(s, ""),
}

TABLE = """
request                                  | absent      | empty   | preparing | completing | stable
join: new, gets an id first              | id > E      | id      | id        | id         | id
join: new, before KIP-394                | ok > C      | ok > C  | waits     | waits > P  | waits > P
join: new, static                        | ok > C      | ok > C  | waits     | waits > P  | waits > P
join: with an id that nobody has         | unknown     | unknown | unknown   | unknown    | unknown
join: static, with an id that nobody has | unknown     | unknown | unknown   | unknown    | unknown
join: the leader                         | unknown     | unknown | waits     | ok         | waits > P
join: the follower                       | unknown     | unknown | ok > C    | ok         | ok
join: the follower with other metadata   | unknown     | unknown | ok > C    | waits > P  | waits > P
join: the follower, with more protocols  | unknown     | unknown | ok > C    | waits > P  | waits > P
join: another protocol                   | ok > C      | ok > C  | differs   | differs    | differs
join: another protocol type              | ok > C      | ok > C  | differs   | differs    | differs
join: no protocol                        | differs > E | differs | differs   | differs    | differs
join: no protocol type                   | differs > E | differs | differs   | differs    | differs
join: the follower with another protocol | unknown     | unknown | differs   | differs    | differs
join: session too short                  | session     | session | session   | session    | session
join: session too long                   | session     | session | session   | session    | session
sync: the leader                         | unknown     | unknown | rejoin    | ok > S     | ok
sync: the follower                       | unknown     | unknown | rejoin    | waits      | ok
sync: old generation                     | unknown     | unknown | old       | old        | old
sync: future generation                  | unknown     | unknown | old       | old        | old
sync: nobody                             | unknown     | unknown | unknown   | unknown    | unknown
sync: nobody, static                     | unknown     | unknown | unknown   | unknown    | unknown
sync: another protocol                   | unknown     | unknown | differs   | differs    | differs
sync: another protocol type              | unknown     | unknown | differs   | differs    | differs
heartbeat: the leader                    | unknown     | unknown | rejoin    | ok         | ok
heartbeat: the follower                  | unknown     | unknown | rejoin    | ok         | ok
heartbeat: old generation                | unknown     | unknown | old       | old        | old
heartbeat: future generation             | unknown     | unknown | old       | old        | old
heartbeat: nobody                        | unknown     | unknown | unknown   | unknown    | unknown
heartbeat: nobody, static                | unknown     | unknown | unknown   | unknown    | unknown
leave: the leader                        | unknown     | unknown | ok        | ok > P     | ok > P
leave: the follower                      | unknown     | unknown | ok > C    | ok > P     | ok > P
leave: both                              | unknown     | unknown | ok > E    | ok > E     | ok > E
leave: nobody                            | unknown     | unknown | unknown   | unknown    | unknown
leave: without id or instance id         | unknown     | unknown | unknown   | unknown    | unknown
"""
"""What is answered, and after `>` the state that the group comes into, where it changes, by its first letter."""

WORDS = {
    "ok": ErrorCode.NONE,
    "unknown": ErrorCode.UNKNOWN_MEMBER_ID,
    "old": ErrorCode.ILLEGAL_GENERATION,
    "rejoin": ErrorCode.REBALANCE_IN_PROGRESS,
    "differs": ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    "id": ErrorCode.MEMBER_ID_REQUIRED,
    "session": ErrorCode.INVALID_SESSION_TIMEOUT,
    "waits": None,
}
STATES: dict[str, ClassicState | None] = {
    "absent": None,
    "empty": ClassicState.EMPTY,
    "preparing": ClassicState.PREPARING_REBALANCE,
    "completing": ClassicState.COMPLETING_REBALANCE,
    "stable": ClassicState.STABLE,
}


def _state(word: str) -> ClassicState | None:
    return next(state for name, state in STATES.items() if name.startswith(word.lower()))


def _cells() -> list[tuple[str, str, str]]:
    """Return request, state before, and what is to come of it."""
    head, *rows = ([cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines())
    return [
        (request, state, cell)
        for request, *cells in rows
        for state, cell in zip(head[1:], cells, strict=True)
    ]


@pytest.mark.parametrize(("request_name", "before", "expected"), _cells())
def test_a_request_in_a_state(request_name: str, before: str, expected: str) -> None:
    scene = Scene(STATES[before])
    word, _, after = expected.partition(" > ")
    outcome = REQUESTS[request_name](scene)
    if isinstance(outcome, Answer):
        outcome = None if outcome.response is None else ErrorCode(outcome.response.error_code)
    assert (outcome, scene.state) == (WORDS[word], _state(after or before))


def test_the_table_has_every_request_in_every_state() -> None:
    assert {(request, state) for request, state, _ in _cells()} == set(product(REQUESTS, STATES))


@pytest.mark.parametrize("before", ClassicState)
@pytest.mark.parametrize("after", ClassicState)
def test_a_change_of_state_that_is_not_in_the_table_is_a_bug(
    before: ClassicState, after: ClassicState
) -> None:
    world = ClassicWorld()
    world.new_id()
    group = world.group
    group.state = before
    if before in PREDECESSORS[after]:
        group.become(after, 5)
        assert (group.state, group.state_since_ms) == (after, 5)
    else:
        with pytest.raises(AssertionError):
            group.become(after, 5)

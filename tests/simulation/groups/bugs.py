"""Bugs that the coordinator could have, to be planted one at a time: the simulation must find each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import coordinator.classic.kind
import coordinator.classic.rebalance
import coordinator.classic.records
import coordinator.consumer.kind
import coordinator.consumer.reconciliation
import coordinator.consumer.replay
from coordinator.classic.group import JOIN_TIMER, ClassicGroup
from coordinator.consumer import timers
from coordinator.consumer.assignment import NOTHING_OWNED
from coordinator.consumer.group import ConsumerGroup
from coordinator.group_shard import GroupShard
from coordinator.runtime import ShardRuntime
from coordinator.shard import Call, Effects, Event, TimerFired
from protocol.errors import ErrorCode
from protocol.messages.heartbeat import HeartbeatRequest


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """The coordinator has the bug inside the block; None for no bug."""
    if name is None:
        yield
        return
    target, attribute, replacement = BUGS[name]
    with patch.object(target, attribute, replacement):
        yield


# Classic groups.


def _begin_in_the_old_generation(group: ClassicGroup, now_ms: int, effects: Effects) -> None:
    group.generation_id = max(group.generation_id - 1, 1)
    _begin_generation(group, now_ms, effects)


def _accept_commits_of(refusal: ErrorCode) -> Callable[..., ErrorCode]:
    def refuse_commit(*arguments: Any) -> ErrorCode:
        code = _refuse_commit(*arguments)
        return ErrorCode.NONE if code is refusal else code

    return refuse_commit


def _load_all_but_one(group_id: str, value: Any) -> ClassicGroup:
    group = _loaded(group_id, value)
    if len(group.members) > 1:
        group.remove(next(iter(group.members)))
    return group


def _decide_without_sessions(shard: GroupShard, event: Event, now_ms: int, effects: Effects) -> None:
    _decide(shard, event, now_ms, effects)
    if isinstance(event, Call) and isinstance(event.request, HeartbeatRequest):
        effects.timers.clear()


def _decide_without_rebalance_timeout(shard: GroupShard, event: Event, now_ms: int, effects: Effects) -> None:
    if not (isinstance(event, TimerFired) and event.key[0] == JOIN_TIMER):
        _decide(shard, event, now_ms, effects)


# Consumer groups.


def _load_without_revocations(member: Any, value: Any) -> Any:
    return replace(_with_assignment(member, value), revoking=NOTHING_OWNED)


def _decide_without_revocation_timeout(
    shard: GroupShard, event: Event, now_ms: int, effects: Effects
) -> None:
    if not (isinstance(event, TimerFired) and event.key[0] == timers.REBALANCE):
        _decide(shard, event, now_ms, effects)


def _fence_nobody(shard: GroupShard, event: Event, now_ms: int, effects: Effects) -> None:
    if not (isinstance(event, TimerFired) and event.key[0] == timers.SESSION):
        _decide(shard, event, now_ms, effects)


def _restart_session_once(state: Any, group_id: str, member: Any, now_ms: int, effects: Effects) -> None:
    if member.previous_member_epoch <= 0:
        _restart_session(state, group_id, member, now_ms, effects)


def _accept_stale_commits(*arguments: Any) -> ErrorCode:
    code = _refuse_consumer_commit(*arguments)
    return ErrorCode.NONE if code in (ErrorCode.STALE_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID) else code


# The runtime.


def _answer_at_once(runtime: ShardRuntime, waiter: Any, outcome: Any) -> None:
    runtime._send(waiter, outcome)


def _take_a_refusal_for_success(runtime: ShardRuntime, *arguments: Any) -> bool:
    with patch.object(ShardRuntime, "_append_refused", _nothing):
        _runtime_append(runtime, *arguments)
    return True


def _load_without_waiting(runtime: ShardRuntime, now_ms: int, _end_offset: int) -> None:
    _runtime_loaded(runtime, now_ms)


_begin_generation = coordinator.classic.rebalance._begin_generation
_refuse_commit = coordinator.classic.kind.refuse_commit
_loaded = coordinator.classic.records._loaded
_refuse_consumer_commit = coordinator.consumer.kind.refuse_commit
_with_assignment = coordinator.consumer.replay._with_assignment
_restart_session = timers.restart_session
_decide = GroupShard.decide
_runtime_append = ShardRuntime._append
_runtime_loaded = ShardRuntime.loaded


def _nothing(*_: object) -> None:
    return None


BUGS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "generation_not_bumped": (
        coordinator.classic.rebalance,
        "_begin_generation",
        _begin_in_the_old_generation,
    ),
    "commit_of_old_generation": (
        coordinator.classic.kind,
        "refuse_commit",
        _accept_commits_of(ErrorCode.ILLEGAL_GENERATION),
    ),
    "twin_not_fenced": (
        coordinator.classic.kind,
        "refuse_commit",
        _accept_commits_of(ErrorCode.FENCED_INSTANCE_ID),
    ),
    "replay_forgets_a_member": (coordinator.classic.records, "_loaded", _load_all_but_one),
    "session_not_renewed": (GroupShard, "decide", _decide_without_sessions),
    "rebalance_timeout_not_kept": (GroupShard, "decide", _decide_without_rebalance_timeout),
    "waiting_forgotten": (GroupShard, "on_resigned", lambda _: []),
    "expiry_while_live": (coordinator.classic.kind, "is_subscribed_to", lambda *_: False),
    "revoked_handed_out_too_early": (ConsumerGroup, "is_owned", lambda *_: False),
    "revoked_although_in_use": (coordinator.consumer.reconciliation, "holds_any", lambda *_: False),
    "replay_forgets_revocations": (
        coordinator.consumer.replay,
        "_with_assignment",
        _load_without_revocations,
    ),
    "revocation_timeout_not_kept": (GroupShard, "decide", _decide_without_revocation_timeout),
    "consumer_session_never_over": (GroupShard, "decide", _fence_nobody),
    "consumer_session_not_renewed": (timers, "restart_session", _restart_session_once),
    "commit_of_fenced_member": (coordinator.consumer.kind, "refuse_commit", _accept_stale_commits),
    "answered_before_committed": (ShardRuntime, "_park", _answer_at_once),
    "tail_not_waited_for": (ShardRuntime, "loaded", _load_without_waiting),
    "refusal_taken_for_success": (ShardRuntime, "_append", _take_a_refusal_for_success),
}

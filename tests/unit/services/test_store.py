"""Goal: a partition's state is what was committed, whatever happens in between. Method: against a dict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.runtime.store import StateStore


@pytest.fixture
def open_store(tmp_path: Path) -> Callable[..., StateStore]:
    def open_(identity: str = "topic") -> StateStore:
        return StateStore(tmp_path / "0.sqlite", identity)

    return open_


def test_what_is_not_committed_is_gone_after_a_crash(open_store: Callable[..., StateStore]) -> None:
    store = open_store()
    store.put(b"a", b"1")
    store.commit(10)
    store.put(b"a", b"2")
    store.put(b"b", b"3")
    assert (store.get(b"a"), store.get(b"b")) == (b"2", b"3")
    again = open_store()  # nothing was closed
    assert (again.get(b"a"), again.get(b"b"), again.position) == (b"1", None, 10)


def test_discard_goes_back_to_the_last_commit(open_store: Callable[..., StateStore]) -> None:
    store = open_store()
    store.put(b"a", b"1")
    store.commit(1)
    store.put(b"a", None)
    assert store.get(b"a") is None and dict(store.changes) == {b"a": None}
    store.discard()
    assert store.get(b"a") == b"1" and not store.changes


def test_a_turn_is_undone_by_itself(open_store: Callable[..., StateStore]) -> None:
    store = open_store()
    store.put(b"a", b"1")
    store.commit(1)
    store.begin_turn()
    store.put(b"a", b"2")
    store.put(b"b", b"2")
    store.begin_turn()
    assert not store.changed_in_turn
    for value in (b"3", None, b"4"):
        store.put(b"a", value)
        store.put(b"c", value)
    assert store.changed_in_turn
    store.undo_turn()
    assert (store.get(b"a"), store.get(b"b"), store.get(b"c")) == (b"2", b"2", None)
    assert dict(store.changes) == {b"a": b"2", b"b": b"2"}


def test_a_store_of_another_topic_is_emptied(open_store: Callable[..., StateStore]) -> None:
    store = open_store("one")
    store.put(b"a", b"1")
    store.commit(5)
    store.close()
    other = open_store("two")
    assert other.get(b"a") is None and other.position == 0


def test_a_store_that_lay_unused_is_read_anew(open_store: Callable[..., StateStore], tmp_path: Path) -> None:
    store = open_store()
    store.put(b"a", b"1")
    store.commit(5)
    store.close()
    for file in tmp_path.iterdir():
        os.utime(file, (time.time() - 13 * 3600,) * 2)
    assert open_store().position == 0


KEYS = st.sampled_from([b"a|1", b"a|2", b"a", b"b|1", b"a|\xff"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, st.one_of(st.none(), st.binary(max_size=3))),
        st.tuples(st.sampled_from(["commit", "discard", "reopen", "turn", "undo"]), st.none(), st.none()),
    )
)


@given(STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_a_dict_with_commits(
    open_store: Callable[..., StateStore], tmp_path: Path, steps: list[tuple[str, bytes, bytes | None]]
) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    store = open_store()
    committed: dict[bytes, bytes] = {}
    now: dict[bytes, bytes] = {}
    turn: dict[bytes, bytes] = {}
    for number, (step, key, value) in enumerate(steps):
        match step:
            case "put":
                store.put(key, value)
                now = {name: kept for name, kept in now.items() if name != key}
                if value is not None:
                    now[key] = value
            case "commit":
                store.commit(number)
                committed = turn = now
                store.begin_turn()
            case "discard":
                store.discard()
                now = turn = committed
                store.begin_turn()
            case "turn":
                store.begin_turn()
                turn = now
            case "undo":
                store.undo_turn()
                now = turn
            case _:
                store.close()
                store = open_store()
                now = turn = committed
        assert all(store.get(name) == now.get(name) for name in (b"a|1", b"a|2", b"a", b"b|1"))
        assert dict(store.scan(b"a|")) == {name: kept for name, kept in now.items() if name[:2] == b"a|"}
    store.close()

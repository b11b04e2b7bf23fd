"""Names of topics: the whole alphabet and its edges, and which names collide."""

from __future__ import annotations

import pytest

from replication.topic_names import collision_key, is_internal_topic, topic_name_problem


@pytest.mark.parametrize("name", ["a", "0", "_", "-", "...", "a.b_c-D9", "x" * 249, "__consumer_offsets"])
def test_good_names(name: str) -> None:
    assert topic_name_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "x" * 250, "a/b", "../a", "a b", "a\0", "a\n", "ä", "٣", "a:b", "\N{KELVIN SIGN}"]
)
def test_bad_names(name: str) -> None:
    assert topic_name_problem(name)


def test_dot_and_underscore_collide_and_nothing_else() -> None:
    assert collision_key("a.b_c") == collision_key("a_b.c")
    assert len({collision_key(name) for name in ("a.b", "a-b", "ab", "A.b")}) == 4


def test_internal_topics() -> None:
    assert is_internal_topic("__consumer_offsets")
    assert is_internal_topic("__transaction_state")
    assert not is_internal_topic("__consumer_offsets2")

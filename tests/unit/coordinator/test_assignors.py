"""Goal: assignors do what KIP-848 promises in the situations a group goes through.

Method: small groups, written out. Random ones are in tests/property/coordinator, Kafka's own assignors as an oracle in
tests/compat/oracles.
"""

from __future__ import annotations

import pytest

from coordinator.assignors import ASSIGNORS
from coordinator.assignors.contract import Assign, Assignment, MemberSpec
from tests.support.assignments import check_complete, everything, moved, size, topic_id

A, B, C = (topic_id(number) for number in (1, 2, 3))
uniform = ASSIGNORS["uniform"]
range_ = ASSIGNORS["range"]
EACH = pytest.mark.parametrize("assign", ASSIGNORS.values(), ids=ASSIGNORS.keys())


def part(*partitions: int) -> frozenset[int]:
    return frozenset(partitions)


def fresh(*topics: bytes, instance_id: str | None = None) -> MemberSpec:
    return MemberSpec(frozenset(topics), {}, instance_id)


def again(members: dict[str, MemberSpec], targets: dict[str, Assignment]) -> dict[str, MemberSpec]:
    """Return the members with their new targets as what they have."""
    return {name: member._replace(assigned=targets[name]) for name, member in members.items()}


@EACH
def test_a_group_without_members(assign: Assign) -> None:
    assert assign({}, {A: 3}) == {}


@EACH
def test_members_without_subscriptions_get_nothing_and_are_named(assign: Assign) -> None:
    assert assign({"m": fresh()}, {A: 3}) == {"m": {}}
    assert assign({"m": fresh(), "n": fresh(A)}, {A: 1}) == {"m": {}, "n": {A: part(0)}}


@EACH
def test_topics_that_do_not_exist_are_ignored(assign: Assign) -> None:
    had = MemberSpec(frozenset((A, B)), {A: part(0), B: part(0, 1)})
    assert assign({"m": had}, {A: 2}) == {"m": {A: part(0, 1)}}
    assert assign({"m": had, "n": fresh(B)}, {A: 1}) == {"m": {A: part(0)}, "n": {}}
    assert assign({"m": had}, {}) == {"m": {}}


@EACH
def test_who_has_the_right_partitions_gets_the_same_object_back(assign: Assign) -> None:
    members = {"m": fresh(A, B), "n": fresh(A, B), "o": fresh(A)}
    for chosen in (members, {name: members[name] for name in "mn"}):
        targets = assign(chosen, {A: 4, B: 6})
        repeated = assign(again(chosen, targets), {A: 4, B: 6})
        assert all(repeated[name] is targets[name] for name in chosen)


@EACH
def test_the_order_in_which_members_joined_does_not_matter(assign: Assign) -> None:
    members = {name: fresh(A, B) for name in "abcd"} | {"e": fresh(A), "f": fresh(B)}
    backwards = dict(reversed(members.items()))
    assert assign(members, {A: 7, B: 5}) == assign(backwards, {A: 7, B: 5})


@EACH
def test_one_partition_in_two_hands_is_left_in_one(assign: Assign) -> None:
    """A client's assignor may have left it so, in a group that then changed its protocol."""
    members = {
        "m": MemberSpec(frozenset((A,)), {A: part(0, 1)}),
        "n": MemberSpec(frozenset((A,)), {A: part(1, 2, 9)}),
    }
    for other in ((), (B,)):
        group = members | {"o": fresh(A, *other)}
        check_complete((group, {A: 3, B: 2}), assign(group, {A: 3, B: 2}))


class TestUniform:
    def test_shares_differ_by_one_at_most(self) -> None:
        members = {f"m{number}": fresh(A, B) for number in range(4)}
        targets = uniform(members, {A: 7, B: 4})
        assert sorted(map(size, targets.values())) == [2, 3, 3, 3]

    def test_who_joins_takes_no_more_than_its_share(self) -> None:
        members = {f"m{number}": fresh(A) for number in range(3)}
        members = again(members, uniform(members, {A: 12})) | {"m9": fresh(A)}
        targets = uniform(members, {A: 12})
        assert [size(targets[name]) for name in sorted(targets)] == [3, 3, 3, 3]
        assert moved(members, targets) == 3

    def test_who_leaves_makes_nobody_else_move(self) -> None:
        members = {f"m{number}": fresh(A) for number in range(4)}
        members = again(members, uniform(members, {A: 12}))
        del members["m1"]
        targets = uniform(members, {A: 12})
        assert {size(target) for target in targets.values()} == {4}
        assert moved(members, targets) == 0

    def test_the_extra_partition_stays_with_who_has_it(self) -> None:
        members = {
            "m": MemberSpec(frozenset((A,)), {A: part(0)}),
            "n": MemberSpec(frozenset((A,)), {A: part(1, 2)}),
        }
        targets = uniform(members, {A: 3})
        assert all(targets[name] is members[name].assigned for name in members)

    def test_new_partitions_go_to_who_has_fewest(self) -> None:
        members = {"m": fresh(A), "n": fresh(A)}
        members = again(members, uniform(members, {A: 3}))
        targets = uniform(members, {A: 4})
        assert moved(members, targets) == 0
        assert [size(target) for target in targets.values()] == [2, 2]

    def test_subscriptions_differ(self) -> None:
        """Who can have little gets it first; the others share what it left."""
        members = {"m": fresh(A), "n": fresh(A, B), "o": fresh(A, B)}
        targets = uniform(members, {A: 6, B: 6})
        check_complete((members, {A: 6, B: 6}), targets)
        assert [size(targets[name]) for name in "mno"] == [4, 4, 4]

    def test_who_stops_subscribing_gives_up_only_that(self) -> None:
        members = {"m": fresh(A, B), "n": fresh(A, B)}
        members = again(members, uniform(members, {A: 4, B: 4}))
        members["n"] = members["n"]._replace(topics=frozenset((B,)))
        targets = uniform(members, {A: 4, B: 4})
        assert set(targets["n"]) == {B}
        assert [size(target) for target in targets.values()] == [4, 4]

    def test_overlapping_subscriptions_are_evened_out_topic_by_topic(self) -> None:
        """As in Kafka: m and n are one apart, n and o are, and so nothing moves that would even out m and o."""
        members = {
            "m": fresh(A),
            "n": MemberSpec(frozenset((A, B)), {A: part(*range(10)), B: part(*range(20))}),
            "o": fresh(B),
        }
        targets = uniform(members, {A: 10, B: 20})
        check_complete((members, {A: 10, B: 20}), targets)
        assert [size(targets[name]) for name in "mno"] == [9, 10, 11]

    def test_ten_thousand_partitions_over_a_hundred_members(self) -> None:
        counts = everything(100, topics=100)
        members = {f"m{number:03}": fresh(*counts) for number in range(100)}
        targets = uniform(members, counts)
        assert {size(target) for target in targets.values()} == {100}


class TestRange:
    def test_neighbours_in_the_order_of_member_ids(self) -> None:
        targets = range_({name: fresh(A) for name in "cab"}, {A: 8})
        assert targets == {"a": {A: part(0, 1, 2)}, "b": {A: part(3, 4, 5)}, "c": {A: part(6, 7)}}

    def test_static_members_come_first_in_the_order_of_their_instances(self) -> None:
        members = {
            "a": fresh(A),
            "b": fresh(A, instance_id="second"),
            "c": fresh(A, instance_id="first"),
        }
        assert range_(members, {A: 3}) == {"c": {A: part(0)}, "b": {A: part(1)}, "a": {A: part(2)}}

    def test_a_static_member_gets_its_partitions_back_under_a_new_id(self) -> None:
        members = {name: fresh(A, instance_id=f"instance-{name}") for name in "abc"}
        before = range_(members, {A: 7})
        members["z"] = members.pop("a")
        after = range_(members, {A: 7})
        assert after == {"z": before["a"], "b": before["b"], "c": before["c"]}

    def test_equal_topics_are_co_partitioned(self) -> None:
        targets = range_({name: fresh(A, B) for name in "abc"}, {A: 7, B: 7})
        assert all(target[A] == target[B] for target in targets.values())

    def test_more_members_than_partitions(self) -> None:
        assert range_({name: fresh(A) for name in "abc"}, {A: 2}) == {
            "a": {A: part(0)},
            "b": {A: part(1)},
            "c": {},
        }

    def test_a_topic_is_ranged_over_its_own_subscribers(self) -> None:
        members = {"a": fresh(A), "b": fresh(A, B), "c": fresh(B, C)}
        assert range_(members, {A: 4, B: 3, C: 2}) == {
            "a": {A: part(0, 1)},
            "b": {A: part(2, 3), B: part(0, 1)},
            "c": {B: part(2), C: part(0, 1)},
        }

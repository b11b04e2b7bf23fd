"""Goal: whatever a group went through, its next assignment is complete, even, and moves no more than it must.

Method: random groups, and bounds worked out here by themselves. Kafka's answers are compared in tests/compat/oracles.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from coordinator.assignors import ASSIGNORS
from coordinator.assignors.contract import Assign
from tests.support.assignments import Group, check_complete, groups, moved, size

EACH = pytest.mark.parametrize("assign", ASSIGNORS.values(), ids=ASSIGNORS.keys())
uniform = ASSIGNORS["uniform"]


@EACH
@settings(max_examples=150)
@given(group=groups())
def test_complete_and_settled_at_once(assign: Assign, group: Group) -> None:
    members, counts = group
    targets = assign(members, counts)
    check_complete(group, targets)
    settled = {
        member_id: member._replace(assigned=targets[member_id]) for member_id, member in members.items()
    }
    again = assign(settled, counts)
    assert all(again[member_id] is targets[member_id] for member_id in members)


@settings(max_examples=150)
@given(group=groups())
def test_uniform_moves_the_least_that_evens_out_equal_subscriptions(group: Group) -> None:
    members, counts = group
    topics = next(iter(members.values())).topics
    members = {member_id: member._replace(topics=topics) for member_id, member in members.items()}
    targets = uniform(members, counts)
    share, extras = divmod(sum(counts[topic] for topic in topics), len(members))
    sizes = [size(target) for target in targets.values()]
    assert sorted(sizes) == [share] * (len(members) - extras) + [share + 1] * extras
    held = [
        sum(len(partitions) for topic, partitions in member.assigned.items() if topic in topics)
        for member in members.values()
    ]
    above = sum(count > share for count in held)
    assert moved(members, targets) == sum(max(0, count - share) for count in held) - min(above, extras)


@settings(max_examples=150)
@given(group=groups())
def test_uniform_leaves_no_move_that_would_even_out_a_topic(group: Group) -> None:
    members, counts = group
    targets = uniform(members, counts)
    for topic in counts:
        loads = [size(targets[member_id]) for member_id, member in members.items() if topic in member.topics]
        givers = [size(target) for target in targets.values() if topic in target]
        assert not givers or max(givers) - min(loads) <= 1

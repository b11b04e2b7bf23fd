"""Goal: our assignors give each group what Kafka's give it.

Method: random groups (tests/support/assignments.py), all answered by the assignors of Kafka 4.3.1 in one JVM. They are
given members and topics in our order, where Kafka's own is that of a hash map. Then range, and uniform for different
subscriptions, must say the same; so must uniform for one topic. For several topics with the same subscribers Kafka
takes topics in the order of a hash set, so there the loads and the number of partitions that move are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from coordinator.assignors import ASSIGNORS
from coordinator.assignors.contract import Assignment
from protocol.types import uuid_from_str, uuid_to_str
from tests.support import java
from tests.support.assignments import Group, check_complete, groups, moved, size, uneven_group

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

EXAMPLES = 1_000
UNEVEN = 1_000
Case = tuple[Group, Mapping[str, Assignment]]


@pytest.fixture(scope="module")
def cases() -> list[Group]:
    found: list[Group] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=(Phase.generate,),
    )
    @given(group=groups())
    def collect(group: Group) -> None:
        found.append(group)

    collect()
    return [*found, *map(uneven_group, range(UNEVEN))]


def ask_kafka(assignor: str, cases: list[Group]) -> list[Case]:
    """Return each group with Kafka's targets."""
    lines = [
        json.dumps(
            {
                "assignor": assignor,
                "counts": {uuid_to_str(topic): count for topic, count in counts.items()},
                "members": [
                    {
                        "id": member_id,
                        "instance": member.instance_id,
                        "topics": [uuid_to_str(topic) for topic in sorted(member.topics)],
                        "assigned": {
                            uuid_to_str(topic): sorted(partitions)
                            for topic, partitions in sorted(member.assigned.items())
                        },
                    }
                    for member_id, member in sorted(members.items())
                ],
            }
        )
        for members, counts in cases
    ]
    output = java.KAFKA.run("AssignorOracle", input_text="\n".join(lines) + "\n").stdout.splitlines()
    assert len(output) == len(cases)
    return [(group, _targets(group, json.loads(line))) for group, line in zip(cases, output, strict=True)]


def _targets(group: Group, answer: dict[str, dict[str, list[int]]]) -> dict[str, Assignment]:
    return {
        member_id: {
            uuid_from_str(topic): frozenset(parts) for topic, parts in answer.get(member_id, {}).items()
        }
        for member_id in group[0]
    }


def test_range_is_the_same(cases: list[Group]) -> None:
    for (members, counts), theirs in ask_kafka("range", cases):
        assert ASSIGNORS["range"](members, counts) == theirs


def test_uniform_is_as_even_and_as_sticky(cases: list[Group]) -> None:
    same, even = 0, 0
    for (members, counts), theirs in ask_kafka("uniform", cases):
        ours = ASSIGNORS["uniform"](members, counts)
        check_complete((members, counts), ours)
        subscriptions = {frozenset(member.topics) for member in members.values()}
        if len(subscriptions) > 1 or len(next(iter(subscriptions))) == 1:
            assert ours == theirs
            same += 1
        else:
            sizes = [size(target) for target in ours.values()]
            assert max(sizes) - min(sizes) <= 1
            assert sorted(sizes) == sorted(size(target) for target in theirs.values())
            assert moved(members, ours) == moved(members, theirs)
            even += 1
    assert same > EXAMPLES // 4, "most groups were of the other kind"
    assert even > EXAMPLES // 10

"""Goal: a broker that stops or dies while groups rebalance and commit gives back what it acknowledged, and they go on.

Method: groups of real clients that are never at rest (members leave, die and come while records flow), and a broker
that is ended at random moments of that and comes back on the same port. After each return: what is committed is no
less than what was acknowledged before, and no more than what was processed; then everything that is produced is
processed. LOGD_TEST_SEED=… repeats the moments.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.killable import KillableBroker
from tests.reliability.seeds import seed_of_run
from tests.support.group_members import Member
from tests.support.group_scene import Scene
from tests.support.patience import wait_until
from tests.support.ports import free_port

PARTITIONS = 6
MEMBERS = 3
PROPERTIES = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
    "offsets.topic.num.partitions": "4",
}


@pytest.mark.parametrize("rounds", [4, pytest.param(25, marks=pytest.mark.full)], ids=["", "full"])
@pytest.mark.parametrize("client", ["confluent", "confluent-consumer"])
def test_groups_go_on_where_they_were(tmp_path: Path, client: str, rounds: int) -> None:
    chance = random.Random(seed_of_run())
    with KillableBroker(tmp_path, free_port(), PROPERTIES) as broker:
        scene = Scene(broker, PARTITIONS)
        with scene.group as group:
            options: dict[str, str | int] = {} if client == "confluent-consumer" else {"session": 3_000}
            members = [group.join(client, **options) for _ in range(MEMBERS)]
            wait_until(lambda: group.settled(*members))
            for number in range(rounds):
                wanted = scene.produce(chance.randrange(20, 200))
                place = chance.randrange(MEMBERS)
                chance.choice([Member.kill, Member.leave])(members[place])
                members[place] = group.join(client, **options)
                time.sleep(chance.uniform(0, 0.8))  # the newcomer needs some of that to start
                end: Callable[[], object] = broker.kill if number % 2 else broker.stop
                end()
                acknowledged = _acknowledged(group.members)
                broker.restart()
                committed = scene.committed()
                pairs = list(zip(acknowledged, committed, strict=True))
                assert all(low <= offset for low, offset in pairs), pairs
                wait_until(lambda offsets=committed: _have_processed(group.members, offsets))  # type: ignore[misc]
                everything = set(wanted)
                wait_until(lambda wanted=everything: wanted <= group.got)  # type: ignore[misc]
                wait_until(lambda: group.settled(*members))
            # A commit that a rebalance overtakes comes later.
            wait_until(lambda: scene.committed() == scene.ends)
            for member in members:
                member.leave()
            wait_until(lambda: all(member.left for member in members))
            assert scene.committed() == scene.ends
            assert any(_acknowledged(group.members))  # it was no empty promise


def _acknowledged(members: list[Member]) -> list[int]:
    """The furthest commit of each partition that some member had an answer to."""
    return [
        max((member.committed.get(partition, 0) for member in members), default=0)
        for partition in range(PARTITIONS)
    ]


def _have_processed(members: list[Member], committed: list[int]) -> bool:
    """Whether somebody has processed the last record below each committed offset."""
    got = {record for member in members for record in list(member.got)}
    return all(offset == 0 or (partition, offset - 1) in got for partition, offset in enumerate(committed))

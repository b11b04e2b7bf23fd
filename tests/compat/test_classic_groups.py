"""Real clients in classic groups: they share partitions, come and go, crash, and find their commits again.

Every member is a process. All but kafkajs speak `range`, so that clients of different make can be in one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.compat.group_scenarios import (
    come_and_go,
    go_on_when_the_broker_comes_back,
    share_and_find_commits_again,
)
from tests.support.broker import LogdBroker
from tests.support.group_clients import COOPERATIVE, GROUP_CLIENTS, parameters, together
from tests.support.group_scene import Scene
from tests.support.patience import wait_until
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(600)
CLIENTS = parameters("classic")
STATIC = parameters("classic", static=True)
PYTHON = ("kafka-python", "confluent", "aiokafka")
PAIRS = [together(client.name, client.name) for client in GROUP_CLIENTS if client.protocol == "classic"]
MIXED = [together(*PYTHON), together("java", "franz-go", "sarama", "kafka-python")]
SESSION_MS = 1_500
LONG_SESSION_MS = 300_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogdBroker]:
    directory = tmp_path_factory.mktemp("classic")
    with LogdBroker(directory, properties={"group.min.session.timeout.ms": "1000"}) as broker:
        yield broker


@pytest.fixture
def scene(broker: LogdBroker) -> Iterator[Scene]:
    scene = Scene(broker)
    with scene.group:
        yield scene


@pytest.mark.parametrize("clients", [*PAIRS, *MIXED])
def test_members_share_the_partitions_and_commits_are_found_again(
    scene: Scene, clients: Sequence[str]
) -> None:
    members = share_and_find_commits_again(scene, clients)
    # Nobody got what another got.
    got = [record for member in members for record in member.got]
    assert len(got) == len(set(got))


@pytest.mark.parametrize("client", CLIENTS)
def test_who_comes_gets_a_share_and_who_leaves_gives_it_back_at_once(scene: Scene, client: str) -> None:
    come_and_go(scene, client, session=LONG_SESSION_MS)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_share_of_who_crashes_goes_to_the_others(scene: Scene, client: str) -> None:
    group = scene.group
    first, second = (group.join(client, session=SESSION_MS) for _ in range(2))
    group.settle(first, second)
    group.process(scene.produce(5))
    first.kill()
    group.settle(second)
    group.process(scene.produce(5))
    wait_until(lambda: scene.committed() == scene.ends)


@pytest.mark.parametrize("client", STATIC)
def test_a_static_member_restarts_unnoticed(scene: Scene, client: str) -> None:
    group = scene.group
    stays = group.join(client, session=LONG_SESSION_MS, instance="stays")
    group.settle(stays)
    goes = group.join(client, session=LONG_SESSION_MS, instance="goes")
    group.settle(stays, goes)
    share, told = goes.assigned, len(stays.assignments)
    goes.kill()
    back = group.join(client, session=LONG_SESSION_MS, instance="goes")
    wait_until(lambda: back.assigned == share)
    group.process(scene.produce(5))
    assert len(stays.assignments) == told


@pytest.mark.parametrize("client", parameters("classic", static=True, without="aiokafka"))
def test_of_two_static_twins_the_older_is_fenced(scene: Scene, client: str) -> None:
    """aiokafka cannot be: its heartbeats and commits name no instance, so the older only hears that it is not known,
    joins again, and takes the place of the newer.
    """
    group = scene.group
    older = group.join(client, session=LONG_SESSION_MS, instance="twin")
    group.settle(older)
    newer = group.join(client, session=LONG_SESSION_MS, instance="twin")
    group.settle(newer)
    records = scene.produce(5)  # whoever does not listen to heartbeats learns from the commit
    wait_until(lambda: older.failure is not None and newer.has_got(records))


@pytest.mark.parametrize("client", parameters("classic", strategy=COOPERATIVE))
def test_cooperative_members_keep_what_they_may(scene: Scene, client: str) -> None:
    group = scene.group
    first = group.join(client, strategy=COOPERATIVE)
    group.settle(first)
    second = group.join(client, strategy=COOPERATIVE)
    group.settle(first, second)
    kept = first.assigned
    assert all(kept <= assignment for assignment in first.assignments)
    group.process(scene.produce(5))


@pytest.mark.parametrize("stop", [pytest.param("clean", marks=pytest.mark.full), "kill -9"])
@pytest.mark.parametrize("clients", [*PAIRS, *MIXED])
def test_a_group_goes_on_when_the_broker_comes_back(
    tmp_path: Path, clients: Sequence[str], stop: str
) -> None:
    with LogdBroker(tmp_path, arguments=["--port", str(free_port())]) as broker:
        go_on_when_the_broker_comes_back(broker, clients, stop)

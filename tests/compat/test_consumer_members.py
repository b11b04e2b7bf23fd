"""Clients in consumer groups (KIP-848): they share partitions, come and go, and find their commits again.

Every member is a process. The broker assigns, so that clients of different make can always be in one group.
test_static_consumers.py has what sessions are for.
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
from tests.support.group_clients import GROUP_CLIENTS, parameters, together
from tests.support.group_scene import Scene
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(600)
CLIENTS = parameters("consumer")
PAIRS = [together(client.name, client.name) for client in GROUP_CLIENTS if client.protocol == "consumer"]
MIXED = together("confluent-consumer", "java-consumer", "franz-go-consumer")
PROPERTIES = {
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "300000",
    "group.consumer.max.session.timeout.ms": "300000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "200",
    "group.consumer.assignment.interval.ms": "0",
    "offsets.topic.num.partitions": "4",
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogdBroker]:
    with LogdBroker(tmp_path_factory.mktemp("members"), properties=PROPERTIES) as broker:
        yield broker


@pytest.fixture
def scene(broker: LogdBroker) -> Iterator[Scene]:
    scene = Scene(broker)
    with scene.group:
        yield scene


@pytest.mark.parametrize("clients", [*PAIRS, MIXED])
def test_members_share_the_partitions_and_commits_are_found_again(
    scene: Scene, clients: Sequence[str]
) -> None:
    share_and_find_commits_again(scene, clients)


@pytest.mark.parametrize("client", CLIENTS)
def test_who_comes_gets_a_share_and_who_leaves_gives_it_back_at_once(scene: Scene, client: str) -> None:
    come_and_go(scene, client)


@pytest.mark.parametrize("client", [together("franz-go-consumer")])
def test_a_client_chooses_the_assignor(scene: Scene, client: str) -> None:
    """With range, the first partitions are those of the member whose id comes first; each has a stretch of them."""
    group = scene.group
    members = [group.join(client, strategy="range") for _ in range(2)]
    group.settle(*members)
    assert sorted(sorted(member.assigned) for member in members) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("stop", [pytest.param("clean", marks=pytest.mark.full), "kill -9"])
@pytest.mark.parametrize("clients", [*PAIRS, MIXED])
def test_a_group_goes_on_when_the_broker_comes_back(
    tmp_path: Path, clients: Sequence[str], stop: str
) -> None:
    with LogdBroker(tmp_path, properties=PROPERTIES, arguments=["--port", str(free_port())]) as broker:
        go_on_when_the_broker_comes_back(broker, clients, stop)

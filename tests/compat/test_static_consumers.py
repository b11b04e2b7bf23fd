"""Members of consumer groups (KIP-848) that crash, restart, or take another's name: what their sessions are for.

Every member is a process. Sessions are the broker's setting in this protocol, hence a broker with short ones and a
broker with long ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broker import LogdBroker
from tests.support.group_clients import parameters
from tests.support.group_scene import Scene
from tests.support.patience import wait_until

CLIENTS = parameters("consumer", static=True)
pytestmark = pytest.mark.timeout(600)
SHORT_SESSION_MS = 1_500
LONG_SESSION_MS = 300_000


def properties(session_ms: int) -> dict[str, str]:
    return {
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.session.timeout.ms": str(session_ms),
        "group.consumer.max.session.timeout.ms": str(LONG_SESSION_MS),
        "group.consumer.min.heartbeat.interval.ms": "100",
        "group.consumer.heartbeat.interval.ms": "200",
        "group.consumer.assignment.interval.ms": "0",
        "offsets.topic.num.partitions": "4",
    }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogdBroker]:
    directory = tmp_path_factory.mktemp("consumer")
    with LogdBroker(directory, properties=properties(LONG_SESSION_MS)) as broker:
        yield broker


@pytest.fixture
def scene(broker: LogdBroker) -> Iterator[Scene]:
    scene = Scene(broker)
    with scene.group:
        yield scene


@pytest.mark.parametrize("client", parameters("consumer"))
def test_the_share_of_who_crashes_goes_to_the_others(tmp_path: Path, client: str) -> None:
    with LogdBroker(tmp_path, properties=properties(SHORT_SESSION_MS)) as broker:
        scene = Scene(broker)
        with scene.group as group:
            first, second = (group.join(client) for _ in range(2))
            group.settle(first, second)
            group.process(scene.produce(5))
            first.kill()
            group.settle(second)
            group.process(scene.produce(5))
            wait_until(lambda: scene.committed() == scene.ends)


# franz-go 1.22.2 leaves without naming its instance, which Kafka refuses as well: until its session ends it is there.
@pytest.mark.parametrize("client", parameters("consumer", static=True, without="franz-go-consumer"))
def test_a_static_member_restarts_unnoticed(scene: Scene, client: str) -> None:
    group = scene.group
    stays = group.join(client, instance="stays")
    group.settle(stays)
    goes = group.join(client, instance="goes")
    group.settle(stays, goes)
    share, told = goes.assigned, len(stays.assignments)
    goes.leave()
    wait_until(lambda: goes.left)
    back = group.join(client, instance="goes")
    wait_until(lambda: back.assigned == share)
    group.process(scene.produce(5))
    assert len(stays.assignments) == told


@pytest.mark.parametrize("client", CLIENTS)
def test_of_two_static_twins_the_newer_is_refused(scene: Scene, client: str) -> None:
    """Other than in classic groups: an id is given away only when its holder has left, or its session is over."""
    group = scene.group
    older = group.join(client, instance="twin")
    group.settle(older)
    newer = group.join(client, instance="twin")
    wait_until(lambda: newer.failure is not None)
    assert not newer.assigned
    records = scene.produce(5)
    wait_until(lambda: older.has_got(records))


def test_members_of_both_protocols_share_a_group(scene: Scene) -> None:
    """As while the consumers of a group are upgraded one after another, and back."""
    group = scene.group
    classic = group.join("confluent", strategy="cooperative-sticky")
    group.settle(classic)
    modern = group.join("confluent-consumer")
    group.settle(classic, modern)
    group.process(scene.produce(5))
    classic.leave()
    group.settle(modern)
    again = group.join("confluent", strategy="cooperative-sticky")
    group.settle(modern, again)
    modern.leave()
    group.settle(again)
    group.process(scene.produce(5))

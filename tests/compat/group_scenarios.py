"""What members of a group go through, whatever the protocol of the group: each a test of test_classic_groups.py and of
test_consumer_members.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.support.broker import LogdBroker
from tests.support.group_members import Member
from tests.support.group_scene import Scene
from tests.support.patience import wait_until


def share_and_find_commits_again(scene: Scene, clients: Sequence[str]) -> list[Member]:
    """Returns those that shared the partitions first."""
    group = scene.group
    members = [group.join(client) for client in clients]
    group.settle(*members)
    group.process(scene.produce(10))
    wait_until(lambda: scene.committed() == scene.ends)  # a commit that a rebalance overtakes comes later
    for member in members:
        member.leave()
    wait_until(lambda: all(member.left for member in members))
    assert scene.committed() == scene.ends
    later = group.join(clients[0])
    group.settle(later)
    new = scene.produce(1)
    group.process(new)
    assert sorted(later.got) == sorted(new)
    return members


def come_and_go(scene: Scene, client: str, **options: int) -> None:
    """Who comes gets a share, and who leaves gives it back at once."""
    group = scene.group
    first = group.join(client, **options)
    group.settle(first)
    second = group.join(client, **options)
    group.settle(first, second)
    third = group.join(client, **options)
    group.settle(first, second, third)
    group.process(scene.produce(5))
    second.leave()
    group.settle(first, third)  # which waits for less than a session
    group.process(scene.produce(5))


def go_on_when_the_broker_comes_back(broker: LogdBroker, clients: Sequence[str], stop: str) -> None:
    """`stop`: clean, or kill -9. The broker keeps its port."""
    scene = Scene(broker)
    with scene.group as group:
        members = [group.join(client) for client in clients]
        group.settle(*members)
        group.process(scene.produce(5))
        end: Callable[[], object] = broker.stop if stop == "clean" else broker.kill
        end()
        broker.restart()
        group.process(scene.produce(5))
        assert not any(member.failure for member in members)

"""Real clients with the protocol of KIP-848: they share partitions, come, go, crash, and mix with classic ones.

Java members are processes; librdkafka's are polled here.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupType,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support import java
from tests.support.broker import LogdBroker
from tests.support.commits import commit_what_was_read
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port

PARTITIONS = 6
PROPERTIES = {
    "group.consumer.min.heartbeat.interval.ms": "200",
    "group.consumer.heartbeat.interval.ms": "200",
    "group.consumer.min.session.timeout.ms": "2000",
    "group.consumer.session.timeout.ms": "2000",
    "group.consumer.assignment.interval.ms": "100",
    "group.min.session.timeout.ms": "1000",
}
LONG_SESSION = {"group.consumer.session.timeout.ms": "60000"}
pytestmark = pytest.mark.timeout(600)
NEW = "group.protocol=consumer"
CLASSIC = ("group.protocol=classic", "session.timeout.ms=2000", "heartbeat.interval.ms=200")

needs_java = pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools()))

_names = count()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogdBroker]:
    with LogdBroker(tmp_path_factory.mktemp("consumers"), properties=PROPERTIES) as broker:
        yield broker


@pytest.fixture
def scene(broker: LogdBroker) -> Iterator[Scene]:
    with Scene(broker) as scene:
        yield scene


class Member:
    """What a member has told so far."""

    assigned: frozenset[int]
    got: list[tuple[int, int]]

    def leave(self) -> None: ...

    def kill(self) -> None: ...


class JavaMember(Member):
    def __init__(self, bootstrap: str, group: str, topic: str, settings: Sequence[str]) -> None:
        self.assigned = frozenset()
        self.got = []
        command = java.KAFKA.command("ConsumerGroupMember", bootstrap, group, topic, *settings)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def leave(self) -> None:
        if self._process.poll() is None:
            assert self._process.stdin is not None
            self._process.stdin.write("\n")
            self._process.stdin.close()
            self._process.wait(PATIENCE_S)
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            kind, *words = line.split()
            if kind == "assigned":
                self.assigned = frozenset(int(word) for word in words[0].split(",")) if words else frozenset()
            elif kind == "got":
                self.got.append((int(words[0]), int(words[1])))


class LibrdkafkaMember(Member):
    """Commits after each record; what a rebalance or a restart of the broker kept it from, it owes."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], **settings: str) -> None:
        self.assigned = frozenset()
        self.topics: set[str] = set()
        self.got = []
        self._ends = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": group,
                "group.protocol": "consumer",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                **settings,
            }
        )
        self._consumer.subscribe(list(topics))
        self._poller = threading.Thread(target=self._poll, daemon=True)
        self._poller.start()

    def leave(self) -> None:
        if not self._ends:
            self._ends = True
            self._poller.join()
            self._consumer.close()

    def _poll(self) -> None:
        owes = False  # a commit of what it has got
        while not self._ends:
            message = self._consumer.poll(0.05)
            owned = self._consumer.assignment()
            self.assigned = frozenset(partition.partition for partition in owned)
            self.topics = {partition.topic for partition in owned}
            if message is not None and message.error() is None:
                self.got.append((message.partition(), message.offset()))
                owes = True
            if owes:
                owes = commit_what_was_read(self._consumer).owes


class Scene:
    """A topic and a group of its own, and its members."""

    def __init__(self, broker: LogdBroker) -> None:
        self.broker = broker
        self.topic = f"consumers-{next(_names)}"
        self.group = f"group-of-{self.topic}"
        self.members: list[Member] = []
        self.create(self.topic, PARTITIONS)

    def create(self, topic: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        for created in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            created.result(PATIENCE_S)

    def java(self, *settings: str) -> JavaMember:
        member = JavaMember(self.broker.bootstrap, self.group, self.topic, settings)
        self.members.append(member)
        return member

    def librdkafka(self, *topics: str, **settings: str) -> LibrdkafkaMember:
        member = LibrdkafkaMember(self.broker.bootstrap, self.group, topics or (self.topic,), **settings)
        self.members.append(member)
        return member

    def settle(self, *members: Member) -> None:
        """Wait until each of these has some of the partitions, and all have them all, each once."""

        def settled() -> bool:
            owned = [partition for member in members for partition in member.assigned]
            return sorted(owned) == list(range(PARTITIONS)) and all(member.assigned for member in members)

        wait_until(settled, lambda: f"{[sorted(member.assigned) for member in members]}")

    def process(self, each: int) -> None:
        """Produce to every partition, and wait until all of it has been got."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap})
        before = self._distinct()
        for partition in range(PARTITIONS):
            for _ in range(each):
                producer.produce(self.topic, b"v", partition=partition)
        assert producer.flush(PATIENCE_S) == 0
        wanted = before + each * PARTITIONS
        wait_until(
            lambda: self._distinct() >= wanted,
            lambda: f"{[len(member.got) for member in self.members]}, {self._distinct()} of {wanted}",
        )

    def all_is_committed(self) -> None:
        """Wait until nothing of the topic is left for who comes next."""
        places = [TopicPartition(self.topic, partition) for partition in range(PARTITIONS)]
        with closing(Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": self.group})) as asks:
            ends = [asks.get_watermark_offsets(place, PATIENCE_S)[1] for place in places]

            def committed() -> list[int]:
                return [place.offset for place in asks.committed(places, PATIENCE_S)]

            wait_until(lambda: committed() == ends, lambda: f"{committed()} of {ends}")

    def _distinct(self) -> int:
        """What a member got and had not committed when it was killed, another gets again."""
        return len({got for member in self.members for got in member.got})

    def __enter__(self) -> Scene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.kill()
            member.leave()


def test_librdkafka_members_come_and_go(scene: Scene) -> None:
    first = scene.librdkafka()
    scene.settle(first)
    scene.process(5)
    second = scene.librdkafka()
    third = scene.librdkafka()
    scene.settle(first, second, third)
    scene.process(5)
    second.leave()
    scene.settle(first, third)
    scene.process(5)
    admin = AdminClient({"bootstrap.servers": scene.broker.bootstrap})

    def described() -> tuple[Any, Any, list[int]]:
        found = admin.describe_consumer_groups([scene.group])[scene.group].result(PATIENCE_S)
        places = [place for member in found.members for place in member.assignment.topic_partitions]
        return found.state, found.type, sorted(place.partition for place in places)

    # A member acknowledges with its next heartbeat what it was assigned.
    expected = (ConsumerGroupState.STABLE, ConsumerGroupType.CONSUMER, list(range(PARTITIONS)))
    wait_until(lambda: described() == expected, described)
    scene.all_is_committed()


def test_librdkafka_subscribes_by_pattern_and_finds_new_topics(scene: Scene) -> None:
    member = scene.librdkafka(f"^{scene.topic}.*")
    scene.settle(member)
    scene.process(5)
    scene.all_is_committed()
    later = f"{scene.topic}-later"
    scene.create(later, 2)
    wait_until(lambda: later in member.topics, lambda: f"{member.topics}")


def test_a_static_librdkafka_member_keeps_its_share(tmp_path: Path) -> None:
    """If it is back within its session, which is therefore a long one."""
    with LogdBroker(tmp_path, properties=PROPERTIES | LONG_SESSION) as broker, Scene(broker) as scene:
        stays, goes = (scene.librdkafka(**{"group.instance.id": name}) for name in ("stays", "goes"))
        scene.settle(stays, goes)
        share = goes.assigned
        goes.leave()
        back = scene.librdkafka(**{"group.instance.id": "goes"})
        scene.settle(stays, back)
        assert back.assigned == share
        scene.process(5)
        scene.all_is_committed()


@pytest.mark.java
@needs_java
def test_java_members_come_crash_and_are_fenced(scene: Scene) -> None:
    first, second = scene.java(NEW), scene.java(NEW)
    scene.settle(first, second)
    scene.process(5)
    first.kill()
    scene.settle(second)
    scene.process(5)
    scene.all_is_committed()
    second.leave()
    last = scene.java(NEW, "group.remote.assignor=range")
    scene.settle(last)
    scene.process(1)
    # All before was committed. Each counts once: who is stalled for his session, two seconds, may be given one again.
    assert len(set(last.got)) == PARTITIONS
    scene.all_is_committed()


@pytest.mark.java
@needs_java
def test_a_group_moves_to_the_new_protocol_and_back_while_it_works(scene: Scene) -> None:
    old = [scene.java(*CLASSIC) for _ in range(2)]
    scene.settle(*old)
    scene.process(5)
    new = scene.java(NEW)
    scene.settle(*old, new)
    scene.process(5)
    old[0].leave()
    scene.settle(old[1], new)
    scene.process(5)
    new.leave()
    scene.settle(old[1])
    scene.process(5)
    scene.all_is_committed()


def test_the_group_goes_on_after_the_broker_was_killed(tmp_path: Path) -> None:
    port = ("--port", str(free_port()))
    with LogdBroker(tmp_path, properties=PROPERTIES, arguments=port) as broker, Scene(broker) as scene:
        members = [scene.librdkafka() for _ in range(2)]
        scene.settle(*members)
        scene.process(5)
        broker.kill()
        broker.restart()
        scene.process(5)
        scene.settle(*members)
        scene.all_is_committed()

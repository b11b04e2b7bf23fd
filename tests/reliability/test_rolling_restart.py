"""Goal: a service of several consumers is restarted one by one while records flow, and nothing is lost or stuck.

Method: members as processes; each in turn leaves, and another takes its place, while a producer goes on. In the end
every record was processed by somebody, the group has exactly the last members, and what is committed is the end of
every partition. With every client that can be a member of a group, and both protocols.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pytest
from confluent_kafka import Producer

from tests.support.broker import LogdBroker
from tests.support.group_clients import BY_NAME, COOPERATIVE, RANGE
from tests.support.group_members import Member
from tests.support.group_scene import Scene
from tests.support.patience import wait_until

PROPERTIES = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "300",
    "offsets.topic.num.partitions": "4",
}
PATIENCE_S = 300
"""Of each wait; a rebalance takes a second, but many JVMs that start at once on a busy machine take minutes."""


class Size(NamedTuple):
    members: int
    partitions: int
    records: int


SMALL = Size(members=3, partitions=6, records=1_500)
EVERYDAY = Size(members=4, partitions=8, records=4_000)
FULL = Size(members=8, partitions=32, records=50_000)


class Flow:
    """A producer that spreads numbered records over partitions until all are sent; it ends with the block."""

    def __init__(self, scene: Scene, total: int, duration_s: float) -> None:
        self._scene = scene
        self._total = total
        self._pause_s = duration_s / total
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self._stop = threading.Event()
        self._failures: list[str] = []
        self.sent = 0

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive()
        assert not self._failures, self._failures[:3]

    def _run(self) -> None:
        producer = Producer({"bootstrap.servers": self._scene.broker.bootstrap, "linger.ms": 5})
        began = time.monotonic()
        partitions = self._scene.partitions
        for number in range(self._total):
            if self._stop.is_set():
                return
            partition = number % partitions
            producer.produce(self._scene.topic, b"%d" % number, partition=partition, on_delivery=self._told)
            self._scene.ends[partition] += 1
            self.sent += 1
            ahead = began + number * self._pause_s - time.monotonic()
            producer.poll(max(0.0, ahead))
        if producer.flush(60):
            self._failures.append("not everything was delivered")

    def _told(self, error: object, _message: object) -> None:
        if error is not None:
            self._failures.append(str(error))


def _cases() -> list[object]:
    """Each client with each of its assignors at acceptance size; every day a few of those that differ most, smaller."""
    everyday = {
        ("confluent", RANGE): EVERYDAY,
        ("confluent", COOPERATIVE): EVERYDAY,
        ("confluent-consumer", "uniform"): EVERYDAY,
        ("kafka-python", RANGE): SMALL,
        ("aiokafka", RANGE): SMALL,
        ("java", COOPERATIVE): SMALL,
        ("java-consumer", "uniform"): SMALL,
        ("franz-go-consumer", "uniform"): SMALL,
    }
    cases = []
    for client in BY_NAME.values():
        for strategy in client.strategies:
            named = f"{client.name}-{strategy.replace(' ', '-')}"
            size = everyday.get((client.name, strategy))
            if size is not None:
                marks = [*client.marks, pytest.mark.timeout(600)]
                cases.append(pytest.param(client.name, strategy, size, marks=marks, id=named))
            marks = [*client.marks, pytest.mark.full, pytest.mark.timeout(1800)]
            cases.append(pytest.param(client.name, strategy, FULL, marks=marks, id=f"{named}-full"))
    return cases


@pytest.mark.parametrize(("client", "strategy", "size"), _cases())
def test_every_member_is_replaced_while_records_flow(
    tmp_path: Path, client: str, strategy: str, size: Size
) -> None:
    options = {"strategy": strategy}
    with LogdBroker(tmp_path, properties=PROPERTIES) as broker:
        scene = Scene(broker, size.partitions)
        with scene.group as group:
            members = [group.join(client, **options) for _ in range(size.members)]
            wait_until(lambda: group.settled(*members), patience_s=PATIENCE_S)
            slowest_s = 0.0
            with Flow(scene, size.records, duration_s=1.5 * size.members) as flow:
                for place in range(size.members):
                    began = time.monotonic()
                    _replace(scene, members, place, client, options)
                    slowest_s = max(slowest_s, time.monotonic() - began)
                sent_meanwhile = flow.sent
            wanted = {(partition, at) for partition, end in enumerate(scene.ends) for at in range(end)}
            wait_until(lambda: wanted <= group.got, patience_s=PATIENCE_S)
            assert group.got == wanted and len(wanted) == size.records
            wait_until(lambda: scene.committed() == scene.ends, patience_s=PATIENCE_S)
            for member in members:
                member.leave()
            wait_until(lambda: all(member.left for member in members), patience_s=PATIENCE_S)
            assert scene.committed() == scene.ends
            assert not any(member.failure for member in group.members)
            _report(group.members, sent_meanwhile, slowest_s)


def _replace(scene: Scene, members: list[Member], place: int, client: str, options: dict[str, str]) -> None:
    """Have one member leave and another come, and wait until the group has settled."""
    old = members[place]
    old.leave()
    wait_until(lambda: old.left, patience_s=PATIENCE_S)
    members[place] = scene.group.join(client, **options)
    wait_until(lambda: scene.group.settled(*members), patience_s=PATIENCE_S)


def _report(members: list[Member], sent_meanwhile: int, slowest_s: float) -> None:
    """For whoever reads the output: what the restarts cost."""
    times = Counter(record for member in members for record in member.got)
    again = sum(count - 1 for count in times.values())
    print(f"sent during the restarts {sent_meanwhile}, processed again {again}, slowest {slowest_s:.2f} s")

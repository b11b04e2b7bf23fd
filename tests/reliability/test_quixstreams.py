"""Goal: a stateful service that promises exactly once keeps the promise on logd, however often it is killed.

Method: quixstreams (tests/compat/quix/totals.py) groups orders by customer and keeps running totals, while it is killed
and started again, at times without its local state, which it then has to read back. In the end there must be one
result for each order, and each customer's counts and sums must go up by one order at a time.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.reliability.committed_reader import CommittedReader
from tests.reliability.seeds import seed_of_run
from tests.support import quix
from tests.support.broker import LogdBroker

PARTITIONS = 3
CUSTOMERS = 20
PATIENCE_S = 200

_missing = quix.missing()
pytestmark = [pytest.mark.quix, *([pytest.mark.skip(reason=_missing)] if _missing else [])]


class Order(NamedTuple):
    customer: str
    amount: int


class Service:
    """The service as a process that is started again when it ends."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        self._bootstrap = bootstrap
        self._state = directory / "state"
        self._log = directory / "service.log"
        self.starts = 0
        self._process = self._start()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        if error is not None:
            print(self._log.read_text(errors="replace")[-6000:])

    def kill(self, *, keep_state: bool) -> None:
        self._process.kill()
        self._process.wait()
        if not keep_state:
            shutil.rmtree(self._state, ignore_errors=True)
        self._process = self._start()

    def revive(self) -> None:
        if self._process.poll() is not None:
            self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        command = [str(quix.python()), str(quix.HOME / "totals.py"), self._bootstrap, str(self._state)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._log.parent
            )


@pytest.mark.parametrize(
    ("count", "kills"), [(600, 2), pytest.param(20_000, 8, marks=pytest.mark.full)], ids=["", "full"]
)
@pytest.mark.timeout(900)
def test_totals_are_exact(tmp_path: Path, written: list[Path], count: int, kills: int) -> None:
    chance = random.Random(seed_of_run())
    orders = [
        Order(f"customer-{chance.randrange(CUSTOMERS)}", chance.randrange(1, 1_000)) for _ in range(count)
    ]
    with LogdBroker(tmp_path / "broker", properties={"group.min.session.timeout.ms": "1000"}) as broker:
        make_topics(broker.bootstrap)
        began = time.monotonic()
        with CommittedReader(broker.bootstrap, "totals", PARTITIONS) as reader:
            with Service(broker.bootstrap, tmp_path) as service:
                portion = count // (kills + 1)
                for number in range(kills + 1):
                    first = number * portion
                    last = count if number == kills else first + portion
                    seen = reader.count()
                    feed(broker.bootstrap, orders, first, last)
                    if number < kills:
                        wait_for(service, lambda seen=seen: reader.count() > seen)  # type: ignore[misc]
                        time.sleep(chance.uniform(0, 0.3))
                        service.kill(keep_state=number % 2 == 0)
                wait_for(service, lambda: reader.count() >= count)
                time.sleep(1)  # for results that come twice
            print(
                f"orders={count} kills={kills} starts={service.starts} seconds={time.monotonic() - began:.1f}"
            )
        check(orders, [json.loads(value) for partition in reader.found for value in partition])
    written.append(broker.data_dir)


def make_topics(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics(
        [NewTopic(name, PARTITIONS, 1) for name in ("orders", "totals")]
    ).values():
        made.result(30)


def feed(bootstrap: str, orders: list[Order], first: int, last: int) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5})
    for number in range(first, last):
        order = orders[number]
        value = json.dumps({"order": number, "customer": order.customer, "amount": order.amount})
        producer.produce("orders", value, key=str(number))
        producer.poll(0)
    assert producer.flush(60) == 0


def wait_for(service: Service, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        service.revive()
        time.sleep(0.05)


def check(orders: list[Order], results: list[dict[str, object]]) -> None:
    assert sorted(int(str(each["order"])) for each in results) == list(range(len(orders)))
    counts: dict[str, int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    for each in results:
        order = orders[int(str(each["order"]))]
        counts[order.customer] += 1
        totals[order.customer] += order.amount
        expected = (order.customer, counts[order.customer], totals[order.customer])
        assert (each["customer"], each["count"], each["total"]) == expected, each

"""Goal: an instance that is stopped leaves its group, also amid a rebalance or before it was let in: nobody waits for
its session to end.

Method: the Order Details Service with a session that outlasts the test, and members of its group that hold a rebalance
up for as long as they do not poll.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from services.orders.supervisor import Supervisor
from tests.services.ecosystem import without_services
from tests.support.patience import PATIENCE_S

pytestmark = [pytest.mark.services, pytest.mark.slow]
TOPICS = ["orders", "details-retries"]
PARTITIONS = 6  # of both


def member(bootstrap: str) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "details",
            "partition.assignment.strategy": "range",
            "heartbeat.interval.ms": 500,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 3,
        }
    )
    consumer.subscribe(TOPICS)
    return consumer


def until(is_so: Callable[[], bool], *polled: Consumer) -> None:
    """Polls meanwhile, and often: what is waited for may pass."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        for consumer in polled:
            consumer.poll(0.02)
        time.sleep(0.02)


def held(*members: Consumer) -> int:
    return sum(len(consumer.assignment()) for consumer in members)


@contextmanager
def started_beside_a_member(tmp_path: Path) -> Iterator[tuple[str, Supervisor, Consumer]]:
    """The service has just been started. The broker's address, services, and who had all partitions so far."""
    with without_services(tmp_path, session_timeout_ms="120000") as (broker, services):
        first = member(broker.bootstrap)
        until(lambda: held(first) == PARTITIONS, first)
        services.start("details")
        yield broker.bootstrap, services, first


@pytest.mark.timeout(120)
def test_amid_a_rebalance(tmp_path: Path) -> None:
    """It has given up what it had, and waits for the others."""
    log = tmp_path / "logs" / "details-1.log"
    with started_beside_a_member(tmp_path) as (bootstrap, services, first):
        until(lambda: 0 < held(first) < PARTITIONS and _revoked(log) == 0, first)
        second = member(bootstrap)
        until(lambda: _revoked(log) == 1)
        stop(services, bootstrap, log, first, second)


@pytest.mark.timeout(120)
def test_amid_its_first_rebalance(tmp_path: Path) -> None:
    """The group knows it, and it was not told yet as whom."""
    log = tmp_path / "logs" / "details-1.log"
    with started_beside_a_member(tmp_path) as (bootstrap, services, first):
        until(lambda: is_member(bootstrap))
        stop(services, bootstrap, log, first)


def stop(services: Supervisor, bootstrap: str, log: Path, *others: Consumer) -> None:
    """While the others let the group wait. They get everything when they go on."""
    with ThreadPoolExecutor(1) as beside:
        stopped = beside.submit(services.remove, "details")
        until(lambda: '"leaving"' in log.read_text())
        until(lambda: stopped.done() and not is_member(bootstrap), *others)
    until(lambda: held(*others) == PARTITIONS, *others)
    for consumer in others:
        consumer.close()


def is_member(bootstrap: str) -> bool:
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    described = client.describe_consumer_groups(["details"])["details"].result(30)
    return "details-1" in [member.group_instance_id for member in described.members]


def _revoked(log: Path) -> int:
    return log.read_text().count('"numbers": []')

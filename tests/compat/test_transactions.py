"""Transactions of every client that has them: each scenario with each, read by itself and by another."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.compat import transaction_scenarios as scenarios
from tests.compat.conftest import AGAINST_KAFKA, start_target
from tests.reliability.killable import KillableBroker
from tests.support.broker import LogdBroker
from tests.support.clients import registry
from tests.support.clients.port import Client
from tests.support.clients.transactional import GIVE_UP, TRANSACTIONAL
from tests.support.kafka_broker import KafkaBroker
from tests.support.patience import PATIENCE_S
from tests.support.ports import free_port

READER = registry.BY_NAME["confluent-kafka"]
"""Reads what all wrote, itself included; Java reads what it wrote."""


def clients(*names: str) -> list[object]:
    return [pytest.param(name, marks=registry.BY_NAME[name].marks) for name in names]


with_each = pytest.mark.parametrize("client", clients(*TRANSACTIONAL), indirect=True)


#: A client that is let go with a transaction open, or while its broker is away, leaves sockets to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """They are to be collected here, where they are expected."""
    yield
    gc.collect()


@pytest.fixture
def reader(client_named: Callable[[str], Client]) -> Client:
    return client_named(READER.name)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogdBroker | KafkaBroker]:
    """A broker that looks for transactions out of time all the time, and may be killed."""
    properties = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "100"}
    with start_target(tmp_path_factory.mktemp("hasty"), properties) as running:
        yield running


@pytest.mark.parametrize("scenario", scenarios.SCENARIOS)
@with_each
def test_transactions(client: Client, reader: Client, topic: str, scenario: str) -> None:
    scenarios.SCENARIOS[scenario](client, reader, topic)


@with_each
def test_offsets(client: Client, bootstrap: str, topic: str) -> None:
    def committed(group: str) -> int | None:
        settings = {"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_committed"}
        consumer = Consumer(settings)
        try:
            (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=PATIENCE_S)
        finally:
            consumer.close()
        return found.offset if found.offset >= 0 else None

    scenarios.offsets_count_with_it(client, topic, committed)


@pytest.mark.parametrize("java", clients("java-kafka-4.3.1"))
def test_java_reads_them(client_named: Callable[[str], Client], java: str, topic: str) -> None:
    scenarios.what_is_aborted_is_not_read(client_named(READER.name), client_named(java), topic)


@pytest.mark.parametrize("name", clients(*TRANSACTIONAL))
def test_what_is_left_open_is_aborted(hasty: LogdBroker | KafkaBroker, name: str, topic: str) -> None:
    client = registry.BY_NAME[name].make(hasty.bootstrap)
    try:
        scenarios.what_is_left_open_is_aborted(client, READER.make(hasty.bootstrap), topic)
    finally:
        client.close()


@pytest.mark.skipif(AGAINST_KAFKA, reason="Kafka takes long to come back")
@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("name", clients(*(each for each in TRANSACTIONAL if each not in GIVE_UP)))
def test_a_transaction_outlives_a_restart(tmp_path: Path, name: str, topic: str, how: str) -> None:
    with KillableBroker(tmp_path, free_port()) as broker:
        client = registry.BY_NAME[name].make(broker.bootstrap)

        def restart() -> None:
            (broker.kill if how == "kill" else broker.stop)()
            broker.restart()

        try:
            scenarios.a_transaction_outlives_a_restart(client, READER.make(broker.bootstrap), topic, restart)
        finally:
            client.close()

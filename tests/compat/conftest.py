"""What the compatibility tests run against.

`LOGD_TEST_TARGET=kafka` puts Apache Kafka in logd's place: a test that fails there is a wrong test.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.broker import LogdBroker
from tests.support.clients import registry
from tests.support.clients.port import Client
from tests.support.kafka_broker import KafkaBroker
from tests.support.kafka_tools import KafkaTools

pytest.register_assert_rewrite(
    *(f"tests.compat.{name}" for name in ("scenarios", "admin_scenarios", "transaction_scenarios"))
)

AGAINST_KAFKA = os.environ.get("LOGD_TEST_TARGET", "logd") == "kafka"


@pytest.fixture(scope="session")
def target(
    tmp_path_factory: pytest.TempPathFactory, written: list[Path]
) -> Iterator[LogdBroker | KafkaBroker]:
    """One broker that all compatibility tests of this session share."""
    with start_target(tmp_path_factory.mktemp("target")) as running:
        written.append(running.data_dir)
        yield running


@pytest.fixture(scope="session")
def bootstrap(target: LogdBroker | KafkaBroker) -> str:
    return target.bootstrap


@pytest.fixture(scope="session")
def data_dir(target: LogdBroker | KafkaBroker) -> Path:
    return target.data_dir


@pytest.fixture(scope="session")
def client_named(bootstrap: str) -> Iterator[Callable[[str], Client]]:
    """Makes each client once: behind one may be a JVM."""
    made: dict[str, Client] = {}

    def find(name: str) -> Client:
        if name not in made:
            made[name] = registry.BY_NAME[name].make(bootstrap)
        return made[name]

    yield find
    for each in made.values():
        each.close()


@pytest.fixture(scope="session")
def tool(bootstrap: str) -> Iterator[KafkaTools]:
    """Kafka's own command line tools, by their names."""
    tools = KafkaTools(bootstrap)
    yield tools
    tools.close()


@pytest.fixture
def client(request: pytest.FixtureRequest, client_named: Callable[[str], Client]) -> Client:
    """The client whose name the test is parametrised with."""
    return client_named(request.param)


@pytest.fixture
def reader(request: pytest.FixtureRequest, client_named: Callable[[str], Client]) -> Client:
    """A second one."""
    return client_named(request.param)


@pytest.fixture
def topic() -> str:
    """A name that no other test uses; the topic does not exist yet."""
    return f"t-{uuid.uuid4().hex[:12]}"


def start_target(
    directory: Path, properties: Mapping[str, str] | None = None
) -> AbstractContextManager[LogdBroker | KafkaBroker]:
    if AGAINST_KAFKA:
        return KafkaBroker(directory, heap="512M", properties=properties)
    return LogdBroker(directory, properties=properties)

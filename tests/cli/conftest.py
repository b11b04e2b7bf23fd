"""What the commands are tried on: logd, and where there is a JDK Apache Kafka, which decides what is right."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.broker import LogdBroker
from tests.support.command_line import Command, call_logd
from tests.support.kafka_broker import KafkaBroker


@pytest.fixture(scope="session", params=["logd", pytest.param("kafka", marks=pytest.mark.java)])
def bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that all tests of the commands share."""
    directory = tmp_path_factory.mktemp("broker")
    broker = LogdBroker(directory) if request.param == "logd" else KafkaBroker(directory, heap="512M")
    with broker as running:
        yield running.bootstrap


@pytest.fixture
def logd(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command on the broker."""
    monkeypatch.setenv("LOGD_BOOTSTRAP", bootstrap)
    return call_logd


@pytest.fixture
def topic(logd: Command) -> str:
    """A topic of two partitions, named as no other."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    assert logd("topic", "create", name, "--partitions", "2", "--wait").returncode == 0
    return name

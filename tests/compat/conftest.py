"""What the compatibility tests run against.

`LOGD_TEST_TARGET=kafka` puts Apache Kafka in logd's place: a test that fails there is a wrong test.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support.broker import LogdBroker
from tests.support.kafka_broker import KafkaBroker

pytest.register_assert_rewrite("tests.compat.scenarios")

AGAINST_KAFKA = os.environ.get("LOGD_TEST_TARGET", "logd") == "kafka"


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory, written: list[Path]) -> Iterator[str]:
    """The address of one broker that all compatibility tests of this session share."""
    with start_target(tmp_path_factory.mktemp("target")) as running:
        written.append(running.data_dir)
        yield running.bootstrap


@pytest.fixture
def topic() -> str:
    """A name that no other test uses; the topic does not exist yet."""
    return f"t-{uuid.uuid4().hex[:12]}"


def start_target(directory: Path) -> AbstractContextManager[LogdBroker | KafkaBroker]:
    return KafkaBroker(directory, heap="512M") if AGAINST_KAFKA else LogdBroker(directory)

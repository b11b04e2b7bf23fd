"""What the compatibility tests run against, and the check of everything that they leave on disk.

`LOGD_TEST_TARGET=kafka` puts Apache Kafka in logd's place: a test that fails there is a wrong test.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.support import java
from tests.support.broker import LogdBroker
from tests.support.dump_check import DumpReport, assert_dump_clean
from tests.support.kafka_broker import KafkaBroker

pytest.register_assert_rewrite("tests.compat.scenarios")

AGAINST_KAFKA = os.environ.get("LOGD_TEST_TARGET", "logd") == "kafka"

_checked: list[tuple[int, DumpReport]] = []


@pytest.fixture(scope="session")
def written() -> Iterator[list[Path]]:
    """Data directories to be checked by Kafka's DumpLogSegments when all tests are through, in one JVM.

    A fixture or test appends the directory of a broker that will be stopped by then.
    """
    directories: list[Path] = []
    yield directories
    if directories and java.missing_tools() is None:
        _checked.append((len(directories), assert_dump_clean(directories)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for directories, report in _checked:
        terminalreporter.write_line(
            f"DumpLogSegments: {directories} data directories, {report.files} files, "
            f"{report.batches} batches, {report.records} records: nothing wrong"
        )


@pytest.fixture(scope="session")
def bootstrap(tmp_path_factory: pytest.TempPathFactory, written: list[Path]) -> Iterator[str]:
    """The address of one broker that all compatibility tests of this session share."""
    with start_target(tmp_path_factory.mktemp("target")) as running:
        written.append(running.data_dir)
        yield running.bootstrap


@pytest.fixture
def broker(tmp_path: Path, written: list[Path]) -> Iterator[LogdBroker]:
    """A fresh broker for one test, whose files are checked too."""
    with LogdBroker(tmp_path / "broker") as running:
        written.append(running.data_dir)
        yield running


@pytest.fixture
def topic() -> str:
    """A name that no other test uses; the topic does not exist yet."""
    return f"t-{uuid.uuid4().hex[:12]}"


def start_target(directory: Path) -> AbstractContextManager[LogdBroker | KafkaBroker]:
    return KafkaBroker(directory, heap="512M") if AGAINST_KAFKA else LogdBroker(directory)

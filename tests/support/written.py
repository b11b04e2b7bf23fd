"""What tests write is checked by Kafka's DumpLogSegments when the session ends: fixture, and the line about it.

A test or fixture appends the data directory of a broker that will be stopped by then to `written`; the `broker`
fixture does so by itself. Not for directories that a test damages, nor for record bodies made by a fuzzer: by
default a broker vouches for a batch's header and checksum only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import java
from tests.support.dump_check import assert_dump_clean

_counts = [0, 0, 0, 0]
"""Directories, files, batches, records that were found in order, in this process or sent by one of its workers."""


@pytest.fixture(scope="session")
def written() -> Iterator[list[Path]]:
    """Data directories to be checked when all tests of this process are through, in one JVM."""
    directories: list[Path] = []
    yield directories
    if directories and java.missing_tools() is None:
        report = assert_dump_clean(directories)
        _add([len(directories), report.files, report.batches, report.records])


def send_to_controller(config: pytest.Config) -> None:
    """At the end of a worker of pytest-xdist."""
    output = getattr(config, "workeroutput", None)
    if output is not None:
        output["dumped"] = _counts


def receive_from_worker(node: object) -> None:
    """When a worker of pytest-xdist has ended."""
    _add(getattr(node, "workeroutput", {}).get("dumped", [0, 0, 0, 0]))


def summary() -> str | None:
    directories, files, batches, records = _counts
    if not directories:
        return None
    return (
        f"DumpLogSegments: {directories} data directories, {files} files, {batches} batches, "
        f"{records} records: nothing wrong"
    )


def _add(counts: list[int]) -> None:
    _counts[:] = [have + more for have, more in zip(_counts, counts, strict=True)]

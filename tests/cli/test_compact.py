"""Goal: `logd topic compact` compacts what is there, and `describe` shows how clean a topic is, as text and as JSON.

Method: commands in processes of their own and in this one, against a broker with small segments; against Apache Kafka,
which knows nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
import uuid
from contextlib import suppress
from typing import Any

import pytest

from logd.cli.parser import addresses
from logd.clients.cluster_client import ClusterClient
from protocol.record_builder import build_batch
from protocol.records import Record
from tests.support.broker import ROOT
from tests.support.command_line import Command, assert_one_line, run_logd, seen
from tests.support.leaders import produce

_TABLE = ("cleanup.policy=compact", "segment.bytes=1048576", "min.cleanable.dirty.ratio=1")
_VALUE_BYTES = 1000


@pytest.fixture
def table(logd: Command) -> str:
    """A compacted topic of two partitions, which nobody compacts unless asked."""
    name = f"table-{uuid.uuid4().hex[:12]}"
    settings = [part for setting in _TABLE for part in ("-c", setting)]
    assert logd("topic", "create", name, "--partitions", "2", *settings, "--wait").returncode == 0
    return name


@pytest.fixture
def is_kafka(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.callspec.params["bootstrap"] == "kafka")


def write(bootstrap: str, topic: str, count: int, *, partition: int = 0) -> None:
    """Batches of ten records of ten keys."""
    records = [Record(key, 1_700_000_000_000, b"%d" % key, bytes(_VALUE_BYTES), ()) for key in range(10)]

    async def main() -> None:
        async with await ClusterClient.connect(addresses(bootstrap)) as cluster:
            for _ in range(count):
                await produce(cluster, topic, partition, build_batch(records))

    asyncio.run(main())


def partitions(logd: Command, topic: str) -> list[dict[str, Any]]:
    [row] = json.loads(logd("topic", "describe", topic, "-J").stdout)
    found = row["partitions"]
    assert isinstance(found, list)
    return found


def test_a_topic_is_compacted_and_described(
    logd: Command, table: str, bootstrap: str, is_kafka: bool
) -> None:
    write(bootstrap, table, 10)
    if is_kafka:
        done = logd("topic", "compact", table)
        assert_one_line(done, 1, "does not compact on request", "min.cleanable.dirty.ratio")
        first = seen(lambda: partitions(logd, table), lambda found: found[0]["size_bytes"] is not None)[0]
        assert (first["cleaned_to"], first["dirty_ratio"], first["uncleanable"]) == (None, None, None)
        assert "CLEAN TO" not in logd("topic", "describe", table).stdout
        return
    first, second = partitions(logd, table)
    assert (first["cleaned_to"], first["dirty_ratio"], first["uncleanable"]) == (None, None, None)
    done = logd("topic", "compact", table)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0].startswith(f"partition 0 of {table} is clean up to offset 100: 9.9 KiB, before 99.")
    assert lines[1] == f"partition 1 of {table} is clean up to offset 0: 0 B, before 0 B"
    first, second = partitions(logd, table)
    assert (first["cleaned_to"], first["dirty_ratio"], first["uncleanable"]) == (100, 0.0, None)
    assert (second["cleaned_to"], second["dirty_ratio"]) == (0, None)
    assert first["size_bytes"] < 11_000 and first["end_offset"] == 100
    text = logd("topic", "describe", table).stdout.splitlines()
    assert text[1].split()[-4:] == ["SIZE", "CLEAN", "TO", "DIRTY"]
    assert text[2].split()[-3:] == ["100", "0", "%"]
    assert text[3].split()[-2:] == ["0", "-"]

    write(bootstrap, table, 1)
    done = logd("topic", "compact", table, "-p", "0", "-J")
    [row] = json.loads(done.stdout)
    before, after = row.pop("bytes_before"), row.pop("bytes_after")
    assert row == {"topic": table, "partition": 0, "cleaned_to": 110, "error": None}
    assert 1.9 * after < before < 2.1 * after
    read = logd("consume", table, "-e", "-q", "-J", "-p", "0", "-o", "beginning")
    offsets = [json.loads(line)["offset"] for line in read.stdout.splitlines()]
    assert offsets == list(range(100, 110))


def test_in_processes_of_their_own(table: str, bootstrap: str, is_kafka: bool) -> None:
    write(bootstrap, table, 5)
    done = run_logd("topic", "compact", table, "-b", bootstrap)
    if is_kafka:
        assert_one_line(done, 1, "does not compact on request")
    else:
        assert done.returncode == 0 and "clean up to offset 50" in done.stdout and done.stderr == ""


def test_compact_refuses(logd: Command, table: str, topic: str, is_kafka: bool) -> None:
    assert_one_line(logd("topic", "compact", "no-such"), 1, "there is no topic no-such", "logd topic list")
    assert_one_line(logd("topic", "compact", table, "-p", "7"), 1, "no partition 7", "it has 2")
    assert_one_line(logd("topic", "compact", "t*"), 2, "pattern")
    assert_one_line(logd("topic", "compact"), 2, "TOPIC")
    assert_one_line(logd("topic", "compact", table, "-p", "x"), 2, "-p")
    if not is_kafka:
        done = logd("topic", "compact", topic, "-p", "1", "-J")
        [row] = json.loads(done.stdout)
        assert row["error"]["code"] == "POLICY_VIOLATION" and row["cleaned_to"] is None
        of_all_partitions = logd("topic", "compact", topic)
        for refused in (done, of_all_partitions):
            text = f"topic {topic} is not compacted: cleanup.policy=delete"
            assert_one_line(refused, 1, text, "POLICY_VIOLATION")


def _read_all(terminal: int) -> bytes:
    """What was shown at a terminal that nobody has open any more, which Linux tells by an error."""
    shown = b""
    with suppress(OSError):
        while data := os.read(terminal, 1 << 16):
            shown += data
    return shown


def test_a_terminal_is_shown_how_far_it_is(logd: Command, table: str, bootstrap: str, is_kafka: bool) -> None:
    if is_kafka:
        return
    write(bootstrap, table, 100)
    limit = "log.cleaner.io.max.bytes.per.second"
    assert logd("config", "set", "broker/default", f"{limit}=500000").returncode == 0
    terminal, standard_error = pty.openpty()
    try:
        command = [sys.executable, "-m", "logd", "topic", "compact", table, "-p", "0", "-b", bootstrap]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=standard_error, timeout=60, check=False
        )
        os.close(standard_error)
        shown = _read_all(terminal).decode()
    finally:
        os.close(terminal)
        logd("config", "unset", "broker/default", limit)
    assert (done.returncode, b"clean up to offset 1000" in done.stdout) == (0, True)
    assert "compacting: 0 of 1 partitions done, " in shown
    assert " % of 1.9 MiB read" in shown
    assert shown.endswith("\r\x1b[K")

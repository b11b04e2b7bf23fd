"""Goal: a client that dies in a transaction holds readers of committed records up for the time it asked for, no longer.

Method: a producer as a process is killed with its transaction open, then others write behind it; the broker may be
killed, too, while the time runs. Readers must come past the open transaction by the broker's own doing, with its
settings as they are. By the timestamps of the log, the abort is not earlier than due, and at most so much later, or
than the broker is back.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from logd.clients.client import Client
from protocol.record_builder import build_batch
from protocol.records import Record, iter_batches, read_header
from tests.reliability.killable import KillableBroker
from tests.support.broker import ROOT
from tests.support.ports import free_port
from tests.support.transaction_talk import committed, topic_made

LATE_MS_MAX = 5_000
PATIENCE_S = 120


class Marker(NamedTuple):
    began_ms: int
    """The record of the transaction."""
    ended_ms: int


@pytest.mark.parametrize("broker_dies", [False, True], ids=["", "broker too"])
@pytest.mark.parametrize(
    "timeout_ms",
    [1_000, pytest.param(15_000, marks=pytest.mark.full), pytest.param(40_000, marks=pytest.mark.full)],
)
@pytest.mark.timeout(600)
def test_an_open_transaction_of_a_dead_client(tmp_path: Path, timeout_ms: int, broker_dies: bool) -> None:
    with KillableBroker(tmp_path, free_port()) as broker:
        topic = leave_open(broker, timeout_ms)
        ready_ms = 0
        if broker_dies:
            broker.kill()
            broker.restart()
            ready_ms = time.time_ns() // 1_000_000
        marker = asyncio.run(wait_for_readers(broker.port, topic))
        assert marker.ended_ms - marker.began_ms >= timeout_ms, "aborted before its time was over"
        late_ms = marker.ended_ms - max(marker.began_ms + timeout_ms, ready_ms)
        print(f"timeout={timeout_ms} broker dies={broker_dies}: aborted {late_ms} ms after it was due")
        assert late_ms <= LATE_MS_MAX


def leave_open(broker: KillableBroker, timeout_ms: int) -> str:
    """Return the topic with the open transaction. Another one is tried where it was too old before its record came."""
    module = (sys.executable, "-m", "tests.reliability.left_open")
    for number in range(20):
        topic = f"t-{number}"
        asyncio.run(make_topic(broker.port, topic))
        command = [*module, broker.bootstrap, topic, f"crashed-{number}", str(timeout_ms)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            process.kill()
        if said == "open\n":
            return topic
        assert said == "late\n", said
    raise AssertionError("no transaction lived until its record was there")


async def make_topic(port: int, topic: str) -> None:
    async with await Client.connect("127.0.0.1", port) as client:
        await topic_made(client, topic)


async def wait_for_readers(port: int, topic: str) -> Marker:
    """Write behind the open transaction, and wait until that is read."""
    async with await Client.connect("127.0.0.1", port) as client:
        await client.produce(topic, 0, build_batch([Record(0, time.time_ns() // 1_000_000, None, b"behind")]))
        async with asyncio.timeout(PATIENCE_S):
            while await client.list_offset(topic, 0, read_committed=True) < 3:
                await asyncio.sleep(0.02)
        assert await committed(client, topic) == [b"behind"]
        answer = await client.fetch(topic, 0, 0)
    assert isinstance(answer.records, memoryview)
    headers = [read_header(batch) for batch in iter_batches(answer.records)]
    began, ended = (
        next(each for each in headers if each.is_transactional and each.is_control is kind)
        for kind in (False, True)
    )
    return Marker(began.max_timestamp, ended.max_timestamp)

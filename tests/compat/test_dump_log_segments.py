"""Kafka's DumpLogSegments on directories that logd wrote, and proof that the check sees damage.

Beside these, everything that any compatibility test wrote is checked when the session ends (conftest.py).
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compat import scenarios
from tests.compat.conftest import AGAINST_KAFKA, start_target
from tests.support import java
from tests.support.broker import LogdBroker
from tests.support.clients.confluent import ConfluentClient
from tests.support.clients.port import CODECS
from tests.support.dump_check import assert_dump_clean, problems_in

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

TOPIC = "history"
# The smallest segments that Kafka allows, and an index entry for nearly every batch.
SMALL_SEGMENTS = {"segment.bytes": "1048576", "index.interval.bytes": "2000"}


def write_history(bootstrap: str, rounds: int = 10) -> None:
    """Every codec, plain and idempotent, nulls and headers, batches of one record and of many."""
    client = ConfluentClient(bootstrap)
    for round_number in range(rounds):
        for codec in CODECS:
            client.produce(
                TOPIC,
                scenarios.messages(60, size=2_000 * (1 + round_number)),
                codec=codec,
                idempotent=round_number % 2 == 0,
            )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a cleanly stopped broker with many small segments."""
    with start_target(tmp_path_factory.mktemp("history")) as running:
        ConfluentClient(running.bootstrap).create_topic(TOPIC, configs=SMALL_SEGMENTS)
        write_history(running.bootstrap)
    yield running.data_dir


def test_many_segments_are_clean(history: Path) -> None:
    report = assert_dump_clean([history])
    assert len(list((history / f"{TOPIC}-0").glob("*.log"))) > 5
    assert report.records >= 3_000


@pytest.mark.skipif(AGAINST_KAFKA, reason="about logd's own restarts")
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_clean_after_restarts(tmp_path: Path, end: str) -> None:
    """Appending goes on in the same files after a stop and after kill -9; then everything still checks."""
    with LogdBroker(tmp_path / "broker") as running:
        ConfluentClient(running.bootstrap).create_topic(TOPIC, configs=SMALL_SEGMENTS)
        for _ in range(3):
            write_history(running.bootstrap, rounds=1)
            getattr(running, end)()
            running.restart()
        write_history(running.bootstrap, rounds=1)
        running.stop()
    assert assert_dump_clean([running.data_dir]).records >= 4 * 300


def flip_a_record_byte(partition: Path) -> None:
    _patch(_logs(partition)[1], 100, lambda byte: bytes([byte[0] ^ 1]))


def append_rubbish(partition: Path) -> None:
    with _logs(partition)[1].open("ab") as log:
        log.write(b"\x00" * 7)


def skip_offsets(partition: Path) -> None:
    """The second batch claims to start 5 later (base offsets are outside the checksum)."""
    log = _logs(partition)[1]
    (length,) = struct.unpack(">i", log.read_bytes()[8:12])
    _patch(log, length + 12 + 7, lambda byte: bytes([byte[0] + 5]))


def shift_an_index_entry(partition: Path) -> None:
    """The second entry's relative offset is one too high."""
    _patch(_logs(partition)[1].with_suffix(".index"), 8 + 3, lambda byte: bytes([byte[0] + 1]))


def cut_an_index_entry(partition: Path) -> None:
    index = _logs(partition)[1].with_suffix(".index")
    os.truncate(index, index.stat().st_size - 3)


def raise_a_time_index_entry(partition: Path) -> None:
    """The first entry claims a later timestamp than any record below it."""
    _patch(_logs(partition)[1].with_suffix(".timeindex"), 4, lambda byte: bytes([byte[0] + 1]))


def corrupt_a_producer_snapshot(partition: Path) -> None:
    _patch(sorted(partition.glob("*.snapshot"))[-1], 10, lambda byte: bytes([byte[0] ^ 1]))


def misplace_the_epoch(partition: Path) -> None:
    checkpoint = partition / "leader-epoch-checkpoint"
    lines = checkpoint.read_text().splitlines()
    epoch, _ = lines[2].split()
    checkpoint.write_text("\n".join([*lines[:2], f"{epoch} 3", *lines[3:]]) + "\n")


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_record_byte,
        append_rubbish,
        skip_offsets,
        shift_an_index_entry,
        cut_an_index_entry,
        raise_a_time_index_entry,
        corrupt_a_producer_snapshot,
        misplace_the_epoch,
    ],
)
def test_damage_is_seen(history: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A check that nothing can fail shows nothing: each kind of damage is reported, in the right directory."""
    copy = tmp_path / "data"
    shutil.copytree(history, copy)
    damage(copy / f"{TOPIC}-0")
    problems = problems_in([copy]).problems
    assert problems
    assert all(f"{TOPIC}-0" in problem for problem in problems)


def _logs(partition: Path) -> list[Path]:
    return sorted(partition.glob("*.log"))


def _patch(path: Path, position: int, change: Callable[[bytes], bytes]) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(change(byte))

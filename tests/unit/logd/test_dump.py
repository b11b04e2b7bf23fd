"""Goal: `logd dump` says what a directory holds, what is wrong with it and where, and writes nothing.

Method: the command itself, in this process, on a directory that storage wrote; each damage is one that a disk, a crash
or a hand could do.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from logd.cli import run
from protocol.types import TopicPartition
from storage.config import LogConfig
from storage.directories.manager import LogManager
from storage.fs.real import RealFileSystem
from tests.support.broker import ROOT, LogdBroker, clean_environment
from tests.support.logs import append, make_batch
from tests.support.stopped_directory import CLUSTER_ID, write_stopped_directory

SEGMENT = "orders-0/00000000000000000018"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dump") / "data"
    write_stopped_directory(RealFileSystem(), str(directory))
    return directory


@pytest.fixture
def data(pristine: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(pristine, tmp_path / "data"))


class Dump:
    """Runs the command and keeps what it said."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.error = ""

    def __call__(self, *arguments: object, code: int = 0) -> list[str]:
        assert run(["dump", *map(str, arguments)], started=0) == code
        said = self._capfd.readouterr()
        self.error = said.err
        return said.out.splitlines()

    def json(self, *arguments: object, code: int = 0) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self("-J", *arguments, code=code)]


@pytest.fixture
def dump(capfd: pytest.CaptureFixture[str]) -> Dump:
    return Dump(capfd)


def test_a_data_directory_is_summed_up(dump: Dump, pristine: Path) -> None:
    directory, *partitions = dump.json(pristine)
    assert (directory["state"], directory["cluster_id"], directory["node_id"]) == (
        "cleanly stopped",
        CLUSTER_ID,
        1,
    )
    assert [(row["topic"], row["partition"], row["segments"]) for row in partitions] == [
        ("__cluster_metadata", 0, 1),
        ("orders", 0, 6),
        ("orders", 1, 6),
    ]
    assert [row["log_end_offset"] for row in partitions[1:]] == [100, 100]
    assert len(dump(pristine)) == 4


def test_a_partition_shows_segments_epochs_and_producers(dump: Dump, pristine: Path) -> None:
    rows = dump.json(pristine / "orders-0")
    kinds = [row["kind"] for row in rows]
    assert [kinds.count(kind) for kind in ("partition", "segment", "leader epoch", "producer")] == [
        1,
        6,
        3,
        3,
    ]
    segments = [row for row in rows if row["kind"] == "segment"]
    assert [row["base_offset"] for row in segments[1:]] == [row["end_offset"] for row in segments[:-1]]
    assert len(dump(pristine / "orders-0")) == len(rows)


def test_offsets_choose_batches_and_records(dump: Dump, pristine: Path) -> None:
    log = pristine / f"{SEGMENT}.log"
    batches = dump.json(log)
    assert batches[0]["base_offset"] == 18
    assert batches[-1]["last_offset"] == 36
    rows = dump.json(log, "--records", "--offsets", "25-27")
    assert [row["offset"] for row in rows if row["kind"] == "record"] == [25, 26, 27]
    assert [
        row["offset"] for row in dump.json(log, "--records", "--offsets", "30") if row["kind"] == "record"
    ] == [30]
    assert dump.json(log, "--offsets", "37-") == []
    (first, *_) = [line for line in dump(log, "--records") if "offset 18 " in line]
    assert "key 'k'" in first


def test_markers_and_metadata_are_decoded(dump: Dump, pristine: Path) -> None:
    orders = [row for row in dump.json(pristine / f"{SEGMENT}.log", "--records") if row["kind"] == "record"]
    assert {row["payload"]["type"] for row in orders if "payload" in row} == {"ABORT", "COMMIT"}
    (log,) = (pristine / "__cluster_metadata-0").glob("*.log")
    (snapshot,) = (pristine / "__cluster_metadata-0").glob("*.checkpoint")
    kinds = {
        row["payload"]["type"]: row["payload"].get("data")
        for path in (snapshot, log)
        for row in dump.json(path, "--records")
        if row["kind"] == "record"
    }
    assert {"SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "TopicRecord", "RegisterBrokerRecord"} <= kinds.keys()
    raw = [row for row in dump.json(log, "--records", "--raw") if row["kind"] == "record"]
    assert all("payload" not in row for row in raw)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{SEGMENT}.index", {"kind": "offset index entry", "entry": 0}),
        (f"{SEGMENT}.timeindex", {"kind": "time index entry", "entry": 0}),
        (f"{SEGMENT}.txnindex", {"kind": "aborted transaction", "producer_id": 1}),
        (f"{SEGMENT}.snapshot", {"kind": "producer", "producer_id": 1, "epoch": 0}),
        ("orders-0/leader-epoch-checkpoint", {"kind": "leader epoch", "leader_epoch": 0, "start_offset": 0}),
        ("recovery-point-offset-checkpoint", {"kind": "checkpoint", "topic": "orders", "offset": 100}),
        ("orders-0/partition.metadata", {"kind": "topic id"}),
        ("meta.properties", {"kind": "meta properties", "cluster_id": CLUSTER_ID}),
        (".kafka_cleanshutdown", {"kind": "clean shutdown", "broker_epoch": -1}),
        ("__cluster_metadata-0/quorum-state", {"kind": "quorum state", "leaderId": 1}),
    ],
)
def test_every_other_file_is_shown(
    dump: Dump, pristine: Path, name: str, expected: dict[str, object]
) -> None:
    rows = dump.json(pristine / name)
    assert expected.items() <= rows[0].items()
    assert len(dump(pristine / name)) == len(rows)


# -- verify ----------------------------------------------------------------------------------------------------


def test_a_sound_directory_is_said_to_be_sound(dump: Dump, pristine: Path) -> None:
    before = listing(pristine)
    (line,) = dump("--verify", pristine)
    assert line.startswith("nothing wrong: 3 partitions")
    (summary,) = dump.json("--verify", "--shallow", pristine)
    assert (summary["problems"], summary["notes"], summary["states"]) == (0, 0, ["cleanly stopped"])
    assert listing(pristine) == before
    assert dump.error == ""


def flip(path: Path, position: int, mask: int = 1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= mask
    path.write_bytes(content)


def record_byte(data: Path) -> None:
    flip(data / f"{SEGMENT}.log", 100)


def base_offset_of_a_batch(data: Path) -> None:
    flip(data / f"{SEGMENT}.log", 7, 64)


def leader_epoch_of_a_batch(data: Path) -> None:
    flip(data / f"{SEGMENT}.log", 15, 8)


def length_of_a_batch(data: Path) -> None:
    flip(data / f"{SEGMENT}.log", 8, 64)


def a_lost_segment(data: Path) -> None:
    for path in (data / "orders-0").glob("00000000000000000018.*"):
        path.unlink()


def a_lost_last_segment(data: Path) -> None:
    for path in (data / "orders-0").glob("00000000000000000096.*"):
        path.unlink()


def an_index_of_another_segment(data: Path) -> None:
    shutil.copy(data / "orders-0/00000000000000000037.index", data / f"{SEGMENT}.index")


def a_shifted_time(data: Path) -> None:
    flip(data / f"{SEGMENT}.timeindex", 7)


def a_missing_index(data: Path) -> None:
    (data / f"{SEGMENT}.index").unlink()


def a_lost_abort(data: Path) -> None:
    (data / f"{SEGMENT}.txnindex").write_bytes(b"")


def a_torn_snapshot(data: Path) -> None:
    os.truncate(data / f"{SEGMENT}.snapshot", 60)


def a_snapshot_of_another_time(data: Path) -> None:
    shutil.copy(data / "orders-0/00000000000000000037.snapshot", data / f"{SEGMENT}.snapshot")


def a_checkpoint_beyond_the_log(data: Path) -> None:
    (data / "recovery-point-offset-checkpoint").write_text("0\n2\norders 0 101\norders 1 100\n")


def a_partition_that_is_gone(data: Path) -> None:
    shutil.rmtree(data / "orders-1")


def another_topic_id(data: Path) -> None:
    (data / "orders-0/partition.metadata").write_text("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAFQ")


def another_directory_id(data: Path) -> None:
    path = data / "meta.properties"
    path.write_text(path.read_text().replace("directory.id=", "directory.id=x"))


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (record_byte, f"{SEGMENT}.log"),
    (base_offset_of_a_batch, f"{SEGMENT}.log"),
    (leader_epoch_of_a_batch, f"{SEGMENT}.log"),
    (length_of_a_batch, f"{SEGMENT}.log"),
    (a_lost_segment, "orders-0/00000000000000000037.log"),
    (a_lost_last_segment, "-checkpoint"),
    (an_index_of_another_segment, f"{SEGMENT}.index"),
    (a_shifted_time, f"{SEGMENT}.timeindex"),
    (a_missing_index, f"{SEGMENT}.index"),
    (a_lost_abort, f"{SEGMENT}.txnindex"),
    (a_torn_snapshot, f"{SEGMENT}.snapshot"),
    (a_snapshot_of_another_time, f"{SEGMENT}.snapshot"),
    (a_checkpoint_beyond_the_log, "recovery-point-offset-checkpoint"),
    (a_partition_that_is_gone, ""),
    (another_topic_id, "orders-0/partition.metadata"),
    (another_directory_id, "meta.properties"),
]


@pytest.mark.parametrize(("damage", "where"), DAMAGES, ids=lambda value: getattr(value, "__name__", ""))
def test_damage_is_named_with_its_place(
    dump: Dump, data: Path, damage: Callable[[Path], None], where: str
) -> None:
    damage(data)
    *findings, summary = dump.json("--verify", data, code=1)
    problems = [finding for finding in findings if finding["kind"] == "problem"]
    assert summary["problems"] == len(problems) > 0
    assert all(problem["advice"] for problem in problems)
    assert any(problem["file"].endswith(where) for problem in problems), problems
    assert all("orders-1" not in problem["file"] for problem in problems)


def test_one_fault_is_one_finding_and_the_rest_is_read(dump: Dump, data: Path) -> None:
    sound = dump.json("--verify", data)[-1]["batches"]
    for damage in (record_byte, base_offset_of_a_batch):
        shutil.copy(data / f"{SEGMENT}.log", data / "kept")
        damage(data)
        whole = dump.json("--verify", data, code=1)
        problems = [row for row in whole if row["kind"] == "problem"]
        assert len(problems) == 1, problems
        assert (problems[0]["position"], problems[0]["offset"]) == (0, 18)
        assert whole[-1]["batches"] == sound - 1
        shutil.move(data / "kept", data / f"{SEGMENT}.log")


def test_behind_a_torn_length_the_index_shows_the_way(dump: Dump, data: Path) -> None:
    sound = dump.json("--verify", data)[-1]["batches"]
    length_of_a_batch(data)
    *findings, summary = dump.json("--verify", data, code=1)
    (problem,) = [row for row in findings if row["kind"] == "problem"]
    (position,) = struct.unpack_from(">i", (data / f"{SEGMENT}.index").read_bytes(), 4)
    assert f"{position} bytes cannot be used" in problem["problem"]
    assert sound - 8 < summary["batches"] < sound


def test_a_log_may_start_within_a_segment(dump: Dump, tmp_path: Path) -> None:
    """DeleteRecords moves the start of a log, and of its leader epochs, past batches that stay in the file."""
    data = tmp_path / "data"
    fs = RealFileSystem()
    manager = LogManager(fs, [str(data)], node_id=1, unique_id=lambda: bytes(range(16)))
    manager.open()
    log = manager.create_log(TopicPartition("orders", 0), bytes(range(1, 17)), LogConfig(), 0)
    for epoch in (0, 1, 2):
        append(log, make_batch(3), leader_epoch=epoch)
    log.advance_log_start_offset(6)
    log.leader_epochs.truncate_from_start(6)
    assert manager.close({log.topic_partition: 9}) == []
    assert "nothing wrong" in dump("--verify", data)[-1]
    (data / "log-start-offset-checkpoint").write_text("0\n0\n")
    assert "its first epoch 2 begins at 6" in dump("--verify", data, code=1)[0]


def test_what_is_no_data_directory_is_not_called_sound(dump: Dump, data: Path) -> None:
    (said, summary) = dump("--verify", data.parent, code=1)
    assert said.startswith(f"{data.parent}: is neither a data directory nor a partition's; name one of")
    assert summary.startswith("1 problem")
    (data / "meta.properties").unlink()
    assert "neither" not in "".join(dump("--verify", data))


def test_leftovers_are_named_and_no_fault(dump: Dump, data: Path) -> None:
    names = ["orders-0/00000000000000000018.log.cleaned", "orders-0/00000000000000000018.log.swap"]
    names += ["orders-0/00000000000000000018.log.deleted", "orders-0/00000000000000000096.log.7.cut"]
    for name in names:
        (data / name).write_bytes(b"x")
    (data / f"orders-2.{'0' * 32}-delete").mkdir()
    (data / f"orders-3.{'0' * 32}-stray").mkdir()
    (data / "lost+found").mkdir()
    *notes, summary = dump.json("--verify", data)
    assert summary["problems"] == 0
    assert {note["kind"] for note in notes} == {"note"}
    assert len(notes) == 7


def test_a_tail_torn_by_a_crash_will_be_cut(dump: Dump, tmp_path: Path) -> None:
    write_stopped_directory(RealFileSystem(), str(tmp_path / "data"), clean=False)
    log = tmp_path / "data/orders-0/00000000000000000096.log"
    os.truncate(log, log.stat().st_size - 5)
    (problem, summary) = dump.json("--verify", tmp_path / "data", code=1)
    assert summary["states"] == ["not cleanly stopped"]
    assert (problem["position"], problem["offset"]) == (253, 100)
    assert "cuts the log here" in problem["advice"]


def test_a_running_broker_is_no_fault(dump: Dump, tmp_path: Path) -> None:
    with LogdBroker(tmp_path / "broker") as broker:
        (summary,) = dump.json("--verify", broker.data_dir)
    assert summary["states"] == ["in use by a running broker"]


def test_what_a_running_broker_is_writing_is_not_left_over(dump: Dump, tmp_path: Path) -> None:
    with LogdBroker(tmp_path / "broker") as broker:
        # Stand-ins for what a broker is amid writing; these two it writes only before it serves.
        (broker.data_dir / "meta.properties.tmp").write_bytes(b"0\n")
        (broker.data_dir / "__cluster_metadata-0" / "partition.metadata.tmp").write_bytes(b"0\n")
        (summary,) = dump.json("--verify", broker.data_dir)
    assert summary["notes"] == summary["problems"] == 0


# -- asked wrongly ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "PATH"),
        (["nowhere"], 1, "nowhere: there is no such file or directory"),
        (["--verify", "nowhere"], 1, "nowhere: there is no such file or directory"),
        (["--offsets", "7-3", "."], 2, "ends before it begins"),
        (["--offsets", "x", "."], 2, "is not A-B"),
        (["--shallow", "."], 2, "--verify"),
    ],
)
def test_mistakes_are_one_line(dump: Dump, arguments: list[str], code: int, said: str) -> None:
    assert dump(*arguments, code=code) == []
    assert said in dump.error
    assert dump.error.count("\n") == 1


def test_damage_ends_a_plain_dump_with_one_line(dump: Dump, data: Path) -> None:
    flip(data / f"{SEGMENT}.log", 500)
    *_, last = dump(data / f"{SEGMENT}.log", code=1)
    assert last.startswith("damaged: ")
    flip(data / f"{SEGMENT}.snapshot", 12)
    (line,) = dump(data / f"{SEGMENT}.snapshot", code=1)
    assert "checksum" in line


def test_a_closed_pipe_is_quiet(pristine: Path) -> None:
    paths = [
        str(pristine / "orders-0" / name)
        for name in os.listdir(pristine / "orders-0")
        if name.endswith(".log")
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "logd", "dump", "--records", "--raw", *(paths * 20)],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def listing(directory: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*"))

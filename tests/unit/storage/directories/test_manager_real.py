"""Goal: the log manager on real files: life across two managers, locks across processes, a bound on descriptors."""

import subprocess
import sys
from pathlib import Path

import pytest

from protocol.record_builder import build_batch
from protocol.records import Record
from protocol.types import TopicPartition
from storage.config import LogConfig
from storage.directories.manager import LogManager
from storage.errors import DirectoryLocked, DirectoryRefused
from storage.fs.real import RealFileSystem
from storage.log import Log

ID = bytes(range(16))
CONFIG = LogConfig()


def manager_over(fs: RealFileSystem, path: Path) -> LogManager:
    manager = LogManager(fs, [str(path)], node_id=1)
    manager.open("cluster")
    return manager


def append(log: Log) -> None:
    log.append(build_batch([Record(0, 0, None, b"value")]), leader_epoch=0, now_ms=0)


def test_logs_live_on_across_a_stop(tmp_path: Path) -> None:
    fs = RealFileSystem()
    manager = manager_over(fs, tmp_path / "a" / "b")
    partitions = [TopicPartition("orders", index) for index in range(3)]
    for partition in partitions:
        append(manager.create_log(partition, ID, CONFIG, 0))
    removal = manager.remove_log(partitions[2], 0)
    assert removal is not None
    for plan in (*manager.checkpoint_plans({}), removal):
        plan.run()
    assert manager.close({}) == []
    manager = manager_over(fs, tmp_path / "a" / "b")
    report = manager.load(lambda partition, topic_id: CONFIG, 0)
    assert [recovery.clean for recovery in report.recoveries] == [True, True]
    assert {partition: log.log_end_offset for partition, log in manager.logs.items()} == dict.fromkeys(
        partitions[:2], 1
    )
    manager.release()


_HOLD = """
import sys
from storage.fs.real import RealFileSystem
from storage.directories.manager import LogManager
LogManager(RealFileSystem(), [sys.argv[1]], node_id=1).open("cluster")
print("open", flush=True)
sys.stdin.read()
"""


def test_a_directory_belongs_to_one_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(DirectoryLocked, match="in use by another broker"):
            manager_over(RealFileSystem(), tmp_path)
        other.kill()
    manager_over(RealFileSystem(), tmp_path).release()


def test_a_file_in_the_place_of_the_directory_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(DirectoryRefused, match=f"^data directory {path} cannot be used: File exists"):
        manager_over(RealFileSystem(), path)


def test_a_relative_path_is_one_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manager = LogManager(RealFileSystem(), ["x/data", "./x/data/", str(tmp_path / "x" / "data")], node_id=1)
    manager.open("cluster")
    assert [directory.path for directory in manager.directories] == [str(tmp_path / "x" / "data")]
    assert (tmp_path / "x" / "data" / "meta.properties").exists()
    manager.release()


def test_files_are_let_go_of_and_open_again_on_use(tmp_path: Path) -> None:
    fs = RealFileSystem()
    manager = manager_over(fs, tmp_path)
    logs = [manager.create_log(TopicPartition("orders", index), ID, CONFIG, 0) for index in range(20)]
    for log in logs:
        append(log)
    assert fs.open_files >= 20
    manager.release_files(20)
    manager.release_files(5)
    assert fs.open_files <= 5
    for log in logs:
        append(log)
        assert log.log_end_offset == 2
    manager.close({})
    assert fs.open_files == 0

"""Files that an interrupted deletion or cleaning left are settled, and settled again after another crash."""

from __future__ import annotations

import pytest

from storage.config import LogConfig
from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Loss, Operation
from storage.fs.memory import MemoryFileSystem
from storage.recovery.leftovers import base_offset_of, settle
from tests.support.logs import DIRECTORY, append, make_batch, open_log, read_all

SIZE = len(make_batch(2))
CONFIG = LogConfig(segment_bytes=3 * SIZE)


def names(*stems_and_suffixes: str) -> list[str]:
    return [f"{int(item.split('.', 1)[0]):020d}.{item.split('.', 1)[1]}" for item in stems_and_suffixes]


def settled(*files: str) -> list[str]:
    """What is left of empty files of these names."""
    fs = MemoryFileSystem()
    fs.makedirs(DIRECTORY)
    for name in files:
        fs.write_atomic(f"{DIRECTORY}/{name}", b"")
    kept = settle(fs, DIRECTORY, fs.listdir(DIRECTORY))
    assert sorted(kept) == [n for n in fs.listdir(DIRECTORY) if not n.endswith(".deleted")]
    return sorted(kept)


def test_the_offset_in_a_name() -> None:
    assert base_offset_of("00000000000000000042.log") == 42
    assert base_offset_of("00000000000000000042.timeindex.deleted") == 42
    assert base_offset_of("leader-epoch-checkpoint") is None
    assert base_offset_of("partition.metadata") is None
    assert base_offset_of("000000000000000000x2.log") is None


def test_temporary_files_and_orphans_go() -> None:
    live = names("0.log", "0.index")
    assert settled(*live, "recovery.tmp", *names("5.index", "5.timeindex", "5.txnindex")) == sorted(live)


def test_files_that_belong_to_no_segment_stay() -> None:
    others = ["leader-epoch-checkpoint", "partition.metadata", *names("0.log.100.cut", "7.snapshot")]
    assert settled(*others) == sorted(others)


def test_an_unfinished_cleaning_is_undone() -> None:
    live = names("0.log", "10.log")
    assert settled(*live, *names("0.log.cleaned", "0.index.cleaned")) == sorted(live)


def test_what_was_replaced_is_removed() -> None:
    live = names("0.log", "0.index", "0.timeindex")
    assert settled(*live, *names("0.log.replaced", "6.log.replaced", "6.snapshot.replaced")) == sorted(live)


def test_an_unfinished_split_is_undone() -> None:
    live = names("0.log")
    assert settled(*live, *names("5.log.cleaned", "5.log.swap", "9.log.swap")) == sorted(live)


def with_swap(fs: MemoryFileSystem | FaultyFileSystem) -> list[bytes]:
    """A log of segments 0, 6, 12 whose first two were cleaned into one, about to take their place."""
    log, _ = open_log(fs, CONFIG)
    for _ in range(8):
        append(log, make_batch(2))
    log.close()
    batches = read_all(log)
    first, second = (fs.read_file(segment.path) for segment in log.segments[:2])
    fs.write_atomic(f"{DIRECTORY}/{0:020d}.log.swap", first + second)
    fs.write_atomic(f"{DIRECTORY}/{0:020d}.index.swap", b"")
    fs.write_atomic(f"{DIRECTORY}/{0:020d}.timeindex.swap", b"")
    return batches


def test_a_complete_replacement_takes_the_place_of_what_it_covers() -> None:
    fs = MemoryFileSystem()
    batches = with_swap(fs)
    log, _ = open_log(fs, CONFIG, recovery_point=16)
    assert [segment.base_offset for segment in log.segments] == [0, 12]
    assert read_all(log) == batches


@pytest.mark.parametrize("cleaned", [[], ["0.index.cleaned", "0.timeindex.cleaned"]])
@pytest.mark.parametrize("seed", range(5))
def test_a_replacement_may_be_interrupted_anywhere(seed: int, cleaned: list[str]) -> None:
    """Whether it is to be finished, or to be undone since some of its files are not in place."""
    fs = FaultyFileSystem(seed)
    batches = with_swap(fs)
    for name in names(*cleaned):
        fs.rename(f"{DIRECTORY}/{name.removesuffix('.cleaned')}.swap", f"{DIRECTORY}/{name}")
    for directory in ("/", "/data", DIRECTORY):
        fs.sync_dir(directory)
    disks: list[FaultyFileSystem] = []

    def crash(_: Operation) -> None:
        disks.extend(fs.crash(loss) for loss in (Loss.NONE, *POWER_LOSSES))

    fs.after = crash
    settle(fs, DIRECTORY, fs.listdir(DIRECTORY))
    assert len(disks) > 6
    for disk in disks:
        log, _ = open_log(disk, CONFIG, recovery_point=16)
        assert read_all(log) == batches


def test_after_a_clean_stop_only_the_names_that_left_go() -> None:
    """Kafka's cleaner leaves the segments that it replaced beside those that took their places."""
    fs = MemoryFileSystem()
    log, _ = open_log(fs, CONFIG, clean=False)
    for _ in range(12):
        append(log, make_batch(2))
    log.close()
    batches = read_all(log)
    fs.write_atomic(f"{DIRECTORY}/{6:020d}.log.deleted", b"replaced")
    again, _ = open_log(fs, CONFIG, recovery_point=24)
    assert again.log_start_offset == 0
    assert read_all(again) == batches
    assert not [name for name in fs.listdir(DIRECTORY) if name.endswith(".deleted")]


def test_segments_that_a_crash_brought_back_go_with_their_generation() -> None:
    fs = MemoryFileSystem()
    log, _ = open_log(fs, CONFIG, clean=False)
    for _ in range(12):
        append(log, make_batch(2))
    log.close()
    batches = read_all(log)
    for suffix in ("log", "index", "timeindex"):
        name = f"{DIRECTORY}/{6:020d}.{suffix}"
        fs.rename(name, name + ".deleted")
    again, _ = open_log(fs, CONFIG, recovery_point=24, clean=False)
    assert again.log_start_offset == 12
    assert read_all(again) == batches[6:]
    assert not [name for name in fs.listdir(DIRECTORY) if name.endswith(".deleted")]

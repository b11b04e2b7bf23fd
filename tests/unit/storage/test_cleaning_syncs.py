"""New segments of a pass and their syncs: started early, waited for before anybody hears of the segment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from storage.cleaning.cleaner import Cleaner, StartSync, Sync
from storage.cleaning.dirtiness import job_for, look_at
from storage.errors import NoSpace, StorageFailure
from storage.fs.memory import MemoryFileSystem
from storage.fs.port import File, OpenMode
from storage.recovery.leftovers import CLEANED_SUFFIX
from tests.support.compaction import CompactedWorld, flush

NOW_MS = 1_700_000_000_000
NEW_LOG = ".log" + CLEANED_SUFFIX
ALL_CHANGE = ("abcabd", "abcabe", "abcabf")
"""The keys of three segments."""


class FullFileSystem(MemoryFileSystem):
    """Takes one new segment."""

    def open(self, path: str, mode: OpenMode) -> File:
        if mode is OpenMode.CREATE and path.endswith(NEW_LOG) and self._holds_one(path):
            raise NoSpace(path, "no space left on device")
        return super().open(path, mode)

    def _holds_one(self, path: str) -> bool:
        return any(name.endswith(NEW_LOG) for name in self.listdir(path.rpartition("/")[0]))


def make_cleaner(
    fs: MemoryFileSystem, segments: Sequence[str] = ALL_CHANGE, start_sync: StartSync = lambda sync: sync
) -> Cleaner:
    """Over a log of these segments, none of which has room for two."""
    world = CompactedWorld(fs)
    for keys in segments:
        for key in keys:
            world.write([(key.encode(), b"v" * 110)])
        world.roll()
    flush(world.log)
    found = look_at(world.log, None, world.log.log_end_offset, world.now_ms)
    job = job_for(world.log, found, world.now_ms, memory_bytes=1 << 20, load_factor=0.9)
    assert len(job.segments) == len(segments)
    return Cleaner(fs, job, start_sync=start_sync)


def new_logs(fs: MemoryFileSystem, cleaner: Cleaner) -> list[str]:
    return [name for name in fs.listdir(cleaner._job.directory) if name.endswith(NEW_LOG)]


def test_a_segment_is_written_while_the_one_before_is_synced() -> None:
    fs = MemoryFileSystem(NOW_MS)
    seen: list[tuple[str, int]] = []

    def start(sync: Sync) -> Sync:
        def wait() -> None:
            sync()
            seen.append(("synced", len(new_logs(fs, cleaner))))

        seen.append(("started", len(new_logs(fs, cleaner))))
        return wait

    cleaner = make_cleaner(fs, start_sync=start)
    for group in cleaner.run():
        seen.append(("handed out", group.first_base_offset))
    assert seen == [
        ("started", 1),
        ("synced", 2),
        ("handed out", 0),
        ("started", 2),
        ("synced", 3),
        ("handed out", 6),
        ("started", 3),
        ("synced", 3),
        ("handed out", 12),
    ]


def test_a_segment_that_stays_as_it_is_holds_nothing_up() -> None:
    fs = MemoryFileSystem(NOW_MS)
    cleaner = make_cleaner(fs, ("abcabd", "klmnop", "qrstuv"))
    next(cleaner.run())
    assert cleaner._passed < cleaner._job.size_bytes


def test_a_sync_that_fails_ends_the_pass_and_leaves_nothing() -> None:
    fs = MemoryFileSystem(NOW_MS)

    def fail() -> None:
        raise StorageFailure("a.log", "the disk is gone")

    cleaner = make_cleaner(fs, start_sync=lambda _sync: fail)
    with pytest.raises(StorageFailure):
        list(cleaner.run())
    assert new_logs(fs, cleaner) == []


def test_a_full_disk_leaves_what_was_done_before() -> None:
    fs = FullFileSystem(NOW_MS)
    cleaner = make_cleaner(fs)
    groups = cleaner.run()
    assert next(groups).first_base_offset == 0
    with pytest.raises(NoSpace):
        next(groups)
    assert new_logs(fs, cleaner) == [f"{0:020d}{NEW_LOG}"]


def test_who_gives_up_keeps_what_was_handed_out() -> None:
    fs = MemoryFileSystem(NOW_MS)
    cleaner = make_cleaner(fs)
    groups = cleaner.run()
    next(groups)
    assert len(new_logs(fs, cleaner)) == 2
    groups.close()
    assert new_logs(fs, cleaner) == [f"{0:020d}{NEW_LOG}"]

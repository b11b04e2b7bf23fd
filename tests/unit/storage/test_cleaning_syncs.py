"""New segments of a pass and their syncs: begun early, waited for before anybody hears of the segment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.cleaning.cleaner import Cleaner, Wait
from storage.cleaning.dirtiness import job_for, look_at
from storage.errors import StorageFailure
from storage.fs.memory import MemoryFileSystem
from storage.recovery.leftovers import CLEANED_SUFFIX
from tests.support.compaction import CompactedWorld, flush

NOW_MS = 1_700_000_000_000


def cleaner_of_three_segments(fs: MemoryFileSystem, begin: Callable[[Wait], Wait]) -> Cleaner:
    world = CompactedWorld(fs)
    for number in range(90):
        world.write([(b"key %d" % (number % 20), b"%d" % number * 20)])
        if number % 30 == 29:
            world.roll()
    flush(world.log)
    found = look_at(world.log, None, world.log.log_end_offset, world.now_ms)
    job = job_for(world.log, found, world.now_ms, memory_bytes=1 << 20, load_factor=0.9)
    assert len(job.segments) >= 3
    return Cleaner(fs, job, begin=begin)


def new_logs(fs: MemoryFileSystem, cleaner: Cleaner) -> list[str]:
    return [name for name in fs.listdir(cleaner._job.directory) if name.endswith(".log" + CLEANED_SUFFIX)]


def test_a_segment_is_written_while_the_one_before_is_synced() -> None:
    fs = MemoryFileSystem(NOW_MS)
    seen: list[tuple[str, int]] = []

    def begin(sync: Wait) -> Wait:
        def wait() -> None:
            sync()
            seen.append(("synced", len(new_logs(fs, cleaner))))

        seen.append(("begun", len(new_logs(fs, cleaner))))
        return wait

    cleaner = cleaner_of_three_segments(fs, begin)
    for count, group in enumerate(cleaner.run(), 1):
        seen.append((f"segment {count}", group.first_base_offset))
    segments = [at for what, at in seen if what.startswith("segment")]
    assert len(segments) >= 3
    last = len(segments)
    expected = [("begun", 1)]
    for count in range(1, last):
        expected += [("synced", count + 1), (f"segment {count}", segments[count - 1]), ("begun", count + 1)]
    assert seen == [*expected, ("synced", last), (f"segment {last}", segments[-1])]


def test_a_sync_that_fails_ends_the_pass_and_leaves_nothing() -> None:
    fs = MemoryFileSystem(NOW_MS)

    def fail() -> None:
        raise StorageFailure("a.log", "the disk is gone")

    cleaner = cleaner_of_three_segments(fs, lambda _sync: fail)
    with pytest.raises(StorageFailure):
        list(cleaner.run())
    assert new_logs(fs, cleaner) == []


def test_who_gives_up_keeps_what_was_handed_out() -> None:
    fs = MemoryFileSystem(NOW_MS)
    cleaner = cleaner_of_three_segments(fs, lambda sync: sync)
    groups = cleaner.run()
    first = next(groups)
    assert len(new_logs(fs, cleaner)) == 2
    groups.close()
    assert new_logs(fs, cleaner) == [f"{first.first_base_offset:020d}.log{CLEANED_SUFFIX}"]

"""What of a log is dirty, what may be cleaned, and what makes a pass due."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from storage.cleaning.dirtiness import job_for, look_at
from storage.cleaning.grouping import group_segments
from storage.cleaning.job import CleaningJob, SourceSegment
from storage.fs.memory import MemoryFileSystem
from tests.support.compaction import CONFIG, CompactedWorld
from tests.support.logs import NOW_MS, flush


def filled(segments: int = 4) -> CompactedWorld:
    """Segments of three records, the last of them empty and active."""
    world = CompactedWorld(MemoryFileSystem(NOW_MS))
    for number in range(segments):
        for _ in range(3):
            world.write([(b"key", b"%d" % number)])
        world.roll()
        world.now_ms += 100
    flush(world.log)
    return world


def test_all_but_the_active_segment_may_be_cleaned() -> None:
    world = filled()
    found = look_at(world.log, None, 12, world.now_ms)
    assert (found.first_dirty_offset, found.first_uncleanable_offset) == (0, 12)
    assert (found.clean_bytes, found.cleanable_bytes, found.ratio) == (0, world.log.size_bytes, 1.0)
    assert found.is_worth_a_pass(world.log)


def test_what_was_cleaned_counts_as_clean() -> None:
    world = filled()
    found = look_at(world.log, 6, 12, world.now_ms)
    assert found.clean_bytes == found.cleanable_bytes == world.log.size_bytes // 2
    assert found.ratio == 0.5
    assert not found.is_worth_a_pass(world.log)  # more than half is asked for


def test_a_segment_in_which_a_pass_ended_counts_as_both() -> None:
    world = filled()
    found = look_at(world.log, 10, 12, world.now_ms)
    assert found.clean_bytes == world.log.size_bytes
    assert found.cleanable_bytes == world.log.size_bytes // 4


@pytest.mark.parametrize("cleaned_to", [-1, 13])
def test_a_clean_end_outside_of_the_log_counts_for_nothing(cleaned_to: int) -> None:
    world = filled()
    assert look_at(world.log, cleaned_to, 12, world.now_ms).first_dirty_offset == 0


def test_nothing_above_the_last_stable_offset_may_be_cleaned() -> None:
    world = filled()
    assert look_at(world.log, None, 8, world.now_ms).first_uncleanable_offset == 6
    assert not look_at(world.log, None, 2, world.now_ms).is_worth_a_pass(world.log)


def test_what_is_not_on_disk_may_not_be_cleaned() -> None:
    world = filled()
    world.write([(b"key", b"late")])
    world.roll()
    assert look_at(world.log, None, 13, world.now_ms).first_uncleanable_offset == 12
    flush(world.log)
    assert look_at(world.log, None, 13, world.now_ms).first_uncleanable_offset == 13


def test_lags() -> None:
    world = filled()
    world.log.configure(replace(CONFIG, min_compaction_lag_ms=200))
    assert look_at(world.log, None, 12, world.now_ms).first_uncleanable_offset == 9
    world.log.configure(replace(CONFIG, min_cleanable_dirty_ratio=1.0, max_compaction_lag_ms=400))
    assert not look_at(world.log, None, 12, world.now_ms).is_worth_a_pass(world.log)
    assert look_at(world.log, None, 12, world.now_ms + 1).is_worth_a_pass(world.log)
    assert not look_at(world.log, 3, 12, world.now_ms + 1).is_worth_a_pass(world.log)


def test_a_job_crosses_to_another_process() -> None:
    world = filled()
    world.write([(b"key", b"v")], producer_id=3, transactional=True)
    world.end(3, committed=False)
    world.roll()
    flush(world.log)
    found = look_at(world.log, None, world.log.log_end_offset, world.now_ms)
    job = job_for(world.log, found, world.now_ms, memory_bytes=5000, load_factor=0.5)
    assert job.aborted and job.last_records and len(job.segments) == 5
    assert CleaningJob.from_json(json.loads(json.dumps(job.to_json()))) == job


def sources(*sizes: int, step: int = 10) -> list[SourceSegment]:
    return [SourceSegment(step * number, size, 8, 12) for number, size in enumerate(sizes)]


def grouped(
    segments: list[SourceSegment], end: int, segment_bytes: int = 100, index_bytes: int = 1000
) -> list[int]:
    groups = group_segments(
        segments, segment_bytes=segment_bytes, segment_index_bytes=index_bytes, end_offset=end
    )
    assert [each for group in groups for each in group] == segments
    return [len(group) for group in groups]


def test_neighbours_are_grouped_up_to_the_size_of_a_segment() -> None:
    assert grouped(sources(40, 40, 20, 10, 90, 11), 60) == [3, 2, 1]
    assert grouped(sources(200, 10), 20) == [1, 1]
    assert grouped([], 0) == []


def test_indexes_and_offsets_bound_a_group_as_well() -> None:
    assert grouped(sources(1, 1, 1, 1), 40, index_bytes=24) == [2, 2]
    assert grouped(sources(1, 1, 1, step=1 << 30), 3 << 30) == [2, 1]
    assert grouped(sources(0, 0, 0, step=1 << 30), 3 << 30) == [2, 1]

"""Retention of a log that is compacted as well (cleanup.policy=compact,delete)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.fs.memory import MemoryFileSystem
from tests.support.compaction import CONFIG, CompactedWorld
from tests.support.logs import NOW_MS, flush

RETENTION_MS = 10_000
BOTH = replace(CONFIG, cleanup_policy=frozenset({"compact", "delete"}), retention_ms=RETENTION_MS)


@pytest.mark.parametrize("reopens", [False, True])
def test_a_segment_that_compaction_emptied_goes_with_the_next_one(reopens: bool) -> None:
    world = CompactedWorld(MemoryFileSystem(NOW_MS), BOTH)
    world.configure(100)  # segments too full to be cleaned into one
    for number in range(4):
        world.write([(b"key", b"%d" % number)])
        world.now_ms += 1000
    world.roll()
    world.clean()
    assert [bool(segment.size_bytes) for segment in world.log.segments] == [False, False, False, True, False]
    if reopens:
        world.now_ms += 5000
        world.reopen()
        world.log.configure(world.config)
    world.now_ms = NOW_MS + 3000 + RETENTION_MS
    flush(world.log)
    assert world.log.delete_old_segments(world.now_ms, 4) is None
    assert world.log.log_start_offset == 0, "it would cut off readers that are below what is there"
    world.now_ms += 1
    assert world.log.delete_old_segments(world.now_ms, 4) is not None
    assert (world.log.log_start_offset, world.log.size_bytes) == (4, 0)

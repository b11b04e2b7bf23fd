"""Whoever reads a log while it is cleaned misses nothing, sees no error, and goes on reading what it was given.

Method: a thousand swaps, each step of each with readers around it: one that begins at the start, and goes on in pieces
whenever a step was made; regions that were handed out before are sent afterwards.
"""

from __future__ import annotations

import random

from protocol.records import iter_batches, iter_records, verify_crc
from protocol.types import Offset
from storage.cleaning.cleaner import Cleaner
from storage.cleaning.dirtiness import job_for, look_at
from storage.cleaning.swap import SegmentSwap
from storage.cold_read import ColdRead
from storage.fs.memory import MemoryFileSystem
from storage.log import Log
from storage.region import FileRegion
from tests.support.compaction import CompactedWorld
from tests.support.logs import NOW_MS, flush

KEYS = [b"key %d" % number for number in range(8)]
SWAPS = 1000


class Reader:
    """Reads from the start to the end that the log had when it began, a piece at a time."""

    def __init__(self, log: Log, table: dict[bytes, bytes]) -> None:
        self._log = log
        self._offset: Offset = log.log_start_offset
        self._end: Offset = log.log_end_offset
        self._least = dict(table)
        """For each key the value that it had then: what is found must not be older."""
        self._found: dict[bytes, bytes] = {}
        self._regions: list[tuple[FileRegion, bytes]] = []
        self._cold: ColdRead | None = None

    def go_on(self) -> bool:
        """Reads a piece; returns whether that was the last one."""
        if self._offset >= self._end:
            return True
        if self._cold is None:
            result = self._log.read(self._offset, 400, self._log.log_end_offset)
            self._cold = result.cold
            if self._cold is not None:
                return False  # what was read cold is taken up after another step of the swap
        else:
            cold, self._cold = self._cold, None
            cold.run()
            result = self._log.finish_read(cold)
            if cold.stale:
                assert (result.region, result.next_offset) == (None, self._offset)
                return False
        if result.region is not None:
            self._regions.append((result.region, result.region.read()))
            self._take(result.region.read())
        assert result.next_offset > self._offset
        self._offset = result.next_offset
        return self._offset >= self._end

    def _take(self, batches: bytes) -> None:
        for batch in iter_batches(batches):
            assert verify_crc(batch)
            for record in iter_records(batch):
                if record.offset >= self._offset:
                    assert record.key is not None and record.value is not None
                    self._found[record.key] = record.value

    def check(self) -> None:
        for key, value in self._least.items():
            assert int(self._found[key]) >= int(value)
        for region, content in self._regions:
            assert region.read() == content


def test_readers_see_all_through_a_thousand_swaps() -> None:
    choose = random.Random(3)
    fs = MemoryFileSystem(NOW_MS)
    world = CompactedWorld(fs)
    table: dict[bytes, bytes] = {}
    readers: list[Reader] = []
    swaps = written = 0
    while swaps < SWAPS:
        for _ in range(12):
            keys = choose.sample(KEYS, 3)
            written += 1
            table.update(dict.fromkeys(keys, b"%d" % written))
            world.write([(key, b"%d" % written) for key in keys])
        world.roll()
        flush(world.log)
        dirtiness = look_at(world.log, world.cleaned_to, world.log.log_end_offset, world.now_ms)
        cleaner = Cleaner(
            fs, job_for(world.log, dirtiness, world.now_ms, memory_bytes=1 << 20, load_factor=0.9)
        )
        for group in cleaner.run():
            swap = SegmentSwap(fs, world.log, group, world.now_ms)
            readers.append(Reader(world.log, table))
            for wait in swap.steps():
                readers = [reader for reader in readers if not _done(reader)]
                wait()
                readers = [reader for reader in readers if not _done(reader)]
            assert swap.removal is not None
            swap.removal.run()
            swaps += 1
        assert cleaner.result is not None
        world.cleaned_to = cleaner.result.next_dirty_offset
    while readers:
        readers = [reader for reader in readers if not _done(reader)]


def test_a_plan_made_during_a_swap_looks_again_when_files_have_changed_their_names() -> None:
    fs = MemoryFileSystem(NOW_MS)
    world = CompactedWorld(fs)
    for number in range(60):
        world.write([(b"key %d" % (number % 20), b"%d" % number)])
    world.roll()
    flush(world.log)
    found = look_at(world.log, None, world.log.log_end_offset, world.now_ms)
    cleaner = Cleaner(fs, job_for(world.log, found, world.now_ms, memory_bytes=1 << 20, load_factor=0.9))
    made = 0
    for group in cleaner.run():
        swap = SegmentSwap(fs, world.log, group, world.now_ms)
        plans: list[ColdRead] = []
        for wait in swap.steps():
            wait()
            for segment in world.log.segments:
                segment.hints.clear()
                segment.appended_from = segment.size_bytes
            cold = world.log.read(group.first_base_offset, 400, world.log.log_end_offset).cold
            plans += [] if cold is None else [cold]
        for cold in plans:
            cold.run()
            assert cold.stale or cold.region is not None
        made += len(plans)
    assert made > 2


def _done(reader: Reader) -> bool:
    if not reader.go_on():
        return False
    reader.check()
    return True

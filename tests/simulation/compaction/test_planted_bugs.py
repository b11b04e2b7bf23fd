"""Goal: the model and the crashes find bugs. Method: plant one at a time; one that is missed fails the test."""

from __future__ import annotations

import random

import pytest

from storage.errors import StorageError
from storage.fs.memory import MemoryFileSystem
from tests.simulation.compaction.bugs import CRASH_BUGS, MODEL_BUGS, planted
from tests.simulation.compaction.crash import CrashFound, crash_everywhere, fill
from tests.support.compaction import CompactedWorld, check
from tests.support.logs import NOW_MS

_SEEDS = 40


def clean_by_the_model(seed: int) -> None:
    """Fills a log and cleans it with all of the memory that it needs, and with little of it, several times."""
    choose = random.Random(seed)
    world = CompactedWorld(MemoryFileSystem(NOW_MS))
    for memory_bytes in (1 << 20, 310, 310, 1 << 20):
        fill(world, choose)
        world.clean(memory_bytes=memory_bytes)
        check(world, world.log, cleaned_to=world.cleaned_to)
        world.now_ms += 700
    world.reopen(clean=False, snapshots=False)
    check(world, world.log)


@pytest.mark.parametrize("bug", MODEL_BUGS)
def test_the_model_finds(bug: str) -> None:
    with planted(bug), pytest.raises((AssertionError, StorageError, IndexError)):
        for seed in range(_SEEDS):
            clean_by_the_model(seed)


@pytest.mark.parametrize("bug", CRASH_BUGS)
def test_a_crash_finds(bug: str) -> None:
    with planted(bug), pytest.raises(CrashFound):
        for seed in range(1, 6):
            crash_everywhere(seed)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    for seed in range(_SEEDS):
        clean_by_the_model(seed)

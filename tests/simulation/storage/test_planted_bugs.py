"""Goal: the simulation finds bugs. Method: plant one at a time and let it look; one that it misses fails the test."""

import pytest

from storage.errors import StorageError
from tests.simulation.storage.bugs import CRASH_BUGS, FAILED_SYNC_BUGS, FULL_DISK_BUGS, planted
from tests.simulation.storage.crash import OPERATIONS, CrashFound, crash_everywhere
from tests.simulation.storage.disk_faults import fail_sync_everywhere, fill_disk_everywhere

SEEDS = range(1, 30)
FINDS_IT = {
    "cut_not_synced": 3,
    "directory_not_synced": 4,
    "former_life_believed": 9,
    "half_a_deletion_believed": 4,
    "marker_not_removed_durably": 6,
    "producers_not_replayed_after_a_cut": 2,
    "producers_not_replayed_below_the_tail": 7,
    "removed_before_renamed": 4,
    "snapshot_of_lost_records": 6,
    "truncated_below_checkpoint": 15,
}
"""The first seed that does, where it is not 1: tried first to save time. Workloads change, so all are tried."""


@pytest.mark.parametrize("bug", CRASH_BUGS)
def test_a_crash_finds(bug: str) -> None:
    with planted(bug), pytest.raises(CrashFound, match=f"--bug {bug}"):
        for seed in (FINDS_IT.get(bug, 1), *SEEDS):
            crash_everywhere(seed, OPERATIONS, bug=bug)


@pytest.mark.parametrize("bug", FULL_DISK_BUGS)
def test_a_full_disk_finds(bug: str) -> None:
    with planted(bug), pytest.raises((AssertionError, StorageError)):
        for seed in SEEDS:
            fill_disk_everywhere(seed, 150)


@pytest.mark.parametrize("bug", FAILED_SYNC_BUGS)
def test_a_failing_sync_finds(bug: str) -> None:
    with planted(bug), pytest.raises((AssertionError, StorageError)):
        for seed in SEEDS:
            fail_sync_everywhere(seed, 150)

"""Goal: a full disk refuses and loses nothing, a failed sync is believed, and rot is detected and never served.

Method: each fault once at every place where it can strike in the life of a node.
"""

import pytest

from tests.simulation.storage.disk_faults import fail_sync_everywhere, fill_disk_everywhere, rot_everywhere

OPERATIONS = 150


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_full_disk_at_every_allocation(seed: int) -> None:
    assert fill_disk_everywhere(seed, OPERATIONS) > 100


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_failure_at_every_sync(seed: int) -> None:
    assert fail_sync_everywhere(seed, OPERATIONS) > 30


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("seed", [1, 3])
def test_a_flipped_bit_anywhere(seed: int, clean: bool) -> None:
    rot = rot_everywhere(seed, OPERATIONS, clean=clean, stride=17)
    assert rot.flips > 300
    assert rot.refused > 0
    assert (rot.cut == 0) is clean, "only above the recovery point anything is cut off"


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("seed", range(100, 120))
def test_a_flipped_bit_in_every_byte(seed: int, clean: bool) -> None:
    rot_everywhere(seed, OPERATIONS, clean=clean, stride=1)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 200))
def test_full_disks_and_failing_syncs_of_many_workloads(seed: int) -> None:
    fill_disk_everywhere(seed, OPERATIONS)
    fail_sync_everywhere(seed, OPERATIONS)

"""Goal: no crash takes what was acknowledged, and none leaves what was never written.

Method: several workloads on the faulty file system; after each of 1,200 file operations three kinds of power failure.
Each crashed image is opened, checked, crashed once more, written to, flushed and crashed again. A failure prints the
command that replays it.
"""

import pytest

from storage.fs.faulty import FaultyFileSystem, Loss
from tests.simulation.storage.crash import OPERATIONS, CrashFound, crash_everywhere
from tests.simulation.storage.workload import Workload

SEEDS = (1, 2, 3, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_crash_point(seed: int) -> None:
    outcome = crash_everywhere(seed, OPERATIONS)
    assert (outcome.points, outcome.crashes) == (OPERATIONS, 3 * OPERATIONS)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 300))
def test_every_crash_point_of_many_workloads(seed: int) -> None:
    crash_everywhere(seed, OPERATIONS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_process_loses_nothing(seed: int) -> None:
    crash_everywhere(seed, OPERATIONS, losses=[Loss.NONE])


def test_the_workloads_do_everything() -> None:
    """A step that never comes up proves nothing."""
    done = set()
    for seed in SEEDS:
        workload = Workload(FaultyFileSystem(seed), seed)
        workload.run(OPERATIONS)
        done |= {step.rpartition(" ")[2] for step in workload.steps}
    assert done == {action.__name__ for action, _ in workload.weighted_actions()}


def test_a_failure_names_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> None:
        raise AssertionError("lost something")

    monkeypatch.setattr("tests.simulation.storage.crash.check_crash", lose)
    with pytest.raises(CrashFound) as caught:
        crash_everywhere(7, 20)
    lines = str(caught.value).splitlines()
    assert lines[0] == "AssertionError: lost something"
    assert lines[-1] == (
        "replay: python -m tests.simulation.storage --seed 7 --operations 20 --point 1 --variant all"
    )

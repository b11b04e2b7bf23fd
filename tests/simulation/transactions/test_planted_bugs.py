"""Goal: the simulation finds bugs. Method: plant one at a time and let it look; one that it misses fails the test."""

import pytest

from tests.simulation.common.command_line import Violation
from tests.simulation.transactions.bugs import BUGS, planted
from tests.simulation.transactions.simulation import run

SEEDS = 300
"""Within so many runs each must be found; most are within five."""


@pytest.mark.parametrize("bug", BUGS)
def test_a_run_finds(bug: str) -> None:
    with planted(bug), pytest.raises(Violation, match=f"--bug {bug}"):
        for seed in range(1, SEEDS + 1):
            run(seed, bug=bug)

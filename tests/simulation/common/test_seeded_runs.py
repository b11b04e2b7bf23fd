"""Goal: what a simulation finds can be seen again. Method: the same seeds twice; a failure in every simulation."""

from __future__ import annotations

import pytest

from tests.simulation.common.command_line import Violation
from tests.simulation.common.seeded_run import SeededRun
from tests.simulation.groups import simulation as of_groups
from tests.simulation.transactions import simulation as of_transactions

RUNS = {each.NAME: each.run for each in (of_groups, of_transactions)}


@pytest.mark.parametrize("name", RUNS)
def test_a_seed_is_a_run(name: str) -> None:
    run = RUNS[name]
    assert [run(seed).trace for seed in range(1, 6)] == [run(seed).trace for seed in range(1, 6)]


@pytest.mark.parametrize("name", RUNS)
def test_a_failure_names_the_command_that_replays_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: SeededRun, *__: object) -> None:
        raise AssertionError("something is wrong")

    monkeypatch.setattr(SeededRun, "do_for", fail)
    with pytest.raises(Violation) as caught:
        RUNS[name](7, bug="some_bug")
    lines = str(caught.value).splitlines()
    assert lines[0] == "AssertionError: something is wrong"
    assert lines[-1] == f"replay: python -m tests.simulation.{name} --start 7 --seeds 1 --bug some_bug"

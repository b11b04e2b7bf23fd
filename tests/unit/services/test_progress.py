"""Goal: commits are as rare as the interval says, and no later. Method: when one is due, on a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.runtime import progress as progress_module
from services.runtime.progress import Progress
from services.runtime.records import Record
from services.runtime.turn import Turn


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    yield clock


def add(progress: Progress, offset: int, *, result: bool) -> None:
    turn = Turn(0, None)
    if result:
        turn.emit("out", b"key", b"value")
    progress.add(turn, Record("in", 0, offset, 0, b"key", b"value"))


def test_nothing_is_due_when_there_is_nothing(clock: Clock) -> None:
    progress = Progress(0.05, 1)
    assert progress.is_empty
    assert progress.seconds_to_commit() is None


def test_a_result_after_a_pause_is_due_at_once(clock: Clock) -> None:
    progress = Progress(0.05, 1)
    add(progress, 0, result=True)
    assert progress.seconds_to_commit() == 0


def test_the_next_one_waits_for_the_rest_of_the_interval(clock: Clock) -> None:
    progress = Progress(0.05, 1)
    add(progress, 0, result=True)
    progress.forget()
    clock.now += 0.02
    add(progress, 1, result=True)
    assert progress.seconds_to_commit() == pytest.approx(0.03)
    clock.now += 0.03
    assert progress.seconds_to_commit() == pytest.approx(0)


def test_a_commit_that_failed_is_not_repeated_without_a_pause(clock: Clock) -> None:
    progress = Progress(0.05, 1)
    add(progress, 0, result=True)
    progress.forget()
    add(progress, 0, result=True)
    assert progress.seconds_to_commit() == pytest.approx(0.05)


def test_positions_alone_wait_for_the_idle_interval(clock: Clock) -> None:
    progress = Progress(0.05, 1)
    add(progress, 0, result=False)
    clock.now += 0.4
    add(progress, 1, result=False)
    assert progress.seconds_to_commit() == pytest.approx(0.6)
    assert progress.positions == {("in", 0): 2}

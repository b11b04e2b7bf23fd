"""A run that is made from its seed alone: things go wrong for a while, then all must become right again.

Everything that is drawn comes from one generator, and nothing else decides.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar

from tests.simulation.common.clock import Clock
from tests.simulation.common.command_line import Violation, replay_command
from tests.support.shards import START_MS

TRACE_LINES = 40

Action = Callable[[], None]


class SeededRun(ABC):
    """What all of them have."""

    def __init__(self, seed: int) -> None:
        self.choose = Random(seed)
        self.clock = Clock(START_MS)
        self.trace: list[str] = []
        self.faulty = True

    @property
    def elapsed_ms(self) -> int:
        return self.clock.now_ms - START_MS

    def note(self, what: str) -> None:
        self.trace.append(f"{self.elapsed_ms:6d} {what}")

    @abstractmethod
    def start(self) -> None:
        """Begin, with nothing wrong."""

    @abstractmethod
    def go_wrong(self) -> None:
        """Let faults happen, for a while."""

    @abstractmethod
    def heal(self) -> None:
        """Faults stop; within a bound all is as it must be."""

    def do_for(self, duration_ms: int, weighted_actions: Iterable[tuple[Action, int]]) -> None:
        """One action after the other, drawn by weight, with pauses."""
        actions = [action for action, weight in weighted_actions for _ in range(weight)]
        end_ms = self.clock.now_ms + duration_ms
        while self.clock.now_ms < end_ms:
            self.clock.run_until(self.clock.now_ms + self.choose.randint(100, 2_500))
            self.choose.choice(actions)()


R = TypeVar("R", bound=SeededRun)


def run_seed(make: Callable[[int], R], name: str, seed: int, bug: str | None, keep: int) -> R:
    """One run of the simulation called `name`. Raises: Violation, with the last `keep` lines of what happened."""
    made: R | None = None
    try:
        made = make(seed)
        made.start()
        made.go_wrong()
        made.heal()
    except Exception as error:
        trace = "\n".join(f"  {line}" for line in (made.trace[-keep:] if made else ()))
        raise Violation(
            f"{type(error).__name__}: {error}\nafter {made.elapsed_ms if made else 0} ms, in\n{trace}\n"
            f"replay: {replay_command(name, seed, bug)}"
        ) from error
    return made

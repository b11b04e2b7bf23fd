"""What a goal is: a figure, the line that it must reach, the line where it is going, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bench.results import Result
from bench.spread import Spread


class Direction(Enum):
    """On which side of its line a figure is to be."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


_NOT_MET, _PASS, _GOAL = "not met", "pass", "goal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure of `target`, alone (`against` empty) or as a ratio to another target's in the same round.

    `passed` must be reached, `goal` is where it is going.
    """

    label: str
    scenario: str
    metric: str
    against: str
    direction: Direction
    passed: float
    goal: float
    target: str

    def values(self, result: Result) -> list[float]:
        if self.against:
            return result.ratios(self.target, self.against, self.metric)
        return result.values(self.target, self.metric)

    def verdict(self, measured: Spread) -> str:
        """What the median reaches, and whether a round of its own would have said otherwise."""
        median, low, high = measured
        worst, best = (high, low) if self.direction is Direction.AT_MOST else (low, high)
        reached = self._reached(median)
        other = self._reached(best) if reached == _NOT_MET else self._reached(worst)
        if other == reached:
            return reached
        if reached == _GOAL and other == _PASS:
            return f"{_PASS}; {_GOAL} inside the spread"
        return f"{reached}, inside the spread"

    def is_passed(self, figure: float) -> bool:
        return self._holds(figure, self.passed)

    def line(self) -> str:
        sign = self.direction.value
        factor = f" × {self.against}" if self.against else ""
        if self.passed == self.goal:
            return f"{sign} {self.goal:g}{factor}"
        return f"{sign} {self.passed:g}; {sign} {self.goal:g}{factor}"

    def _reached(self, figure: float) -> str:
        if self._holds(figure, self.goal):
            return _GOAL
        return _PASS if self.is_passed(figure) else _NOT_MET

    def _holds(self, figure: float, line: float) -> bool:
        return figure <= line if self.direction is Direction.AT_MOST else figure >= line

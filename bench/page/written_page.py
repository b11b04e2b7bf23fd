"""What docs/BENCHMARKS.md says already: kept for every scenario of which there are no results, and marked as such."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bench.page.goal import Goal
from bench.results import Result
from bench.spread import Spread, spread

NO_FILE = "No file of these figures is kept: they cannot be taken apart, and are of an earlier version."

_SECTION = re.compile(r"^## (?:([\w-]+): )?", re.MULTILINE)
_MEASURED = re.compile(r"(-?[\d.,]+)(?: ×)? \[(-?[\d.,]+)–(-?[\d.,]+)\]")


class WrittenPage:
    """The page as it was written last; an empty text has nothing."""

    def __init__(self, text: str) -> None:
        self.is_empty = not text
        starts = [*_SECTION.finditer(text)]
        ends = [*(match.start() for match in starts[1:]), len(text)]
        self.sections = {
            match[1]: text[match.start() : end].strip()
            for match, end in zip(starts, ends, strict=False)
            if match[1]
        }
        """The text by scenario, its heading included."""
        rows = (line.split(" | ") for line in text.splitlines() if line.startswith("| "))
        self._goals = {(cells[0].removeprefix("| "), cells[1]): cells for cells in rows if len(cells) == 4}

    def goal_row(self, goal: Goal) -> str | None:
        """The row of the table of goals, None where it was never measured against this line."""
        cells = self._goals.get((goal.label, goal.line()))
        return " | ".join(cells) if cells else None

    def section(self, scenario: str) -> str | None:
        """What it says of a scenario that was measured before results were kept."""
        text = self.sections.get(scenario)
        return text if text is None or NO_FILE in text else f"{text}\n\n{NO_FILE}"

    def figure(self, goal: Goal, found: Mapping[str, Result]) -> Spread | None:
        """What a goal's figure came to: in the results, or as it stands here where its scenario is not among them."""
        if goal.scenario not in found:
            return self.measured(goal)
        values = goal.values(found[goal.scenario])
        return spread(values) if values else None

    def measured(self, goal: Goal) -> Spread | None:
        found = _MEASURED.search(self.goal_row(goal) or "")
        if found is None:
            return None
        median, low, high = (float(figure.replace(",", "")) for figure in found.groups())
        return median, low, high

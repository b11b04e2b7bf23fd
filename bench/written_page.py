"""What docs/BENCHMARKS.md says already: kept for every scenario of which this machine has no results."""

from __future__ import annotations

import re

from bench.goals import Goal

_SECTION = re.compile(r"^## (?:([\w-]+): )?", re.MULTILINE)
_MEASURED = re.compile(r"(-?[\d.,]+)(?: ×)? \[(-?[\d.,]+)–(-?[\d.,]+)\]")


class WrittenPage:
    """The page as it was written last; an empty text has nothing."""

    def __init__(self, text: str) -> None:
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

    def measured(self, goal: Goal) -> tuple[float, float, float] | None:
        """Median, least and largest of what stands there."""
        found = _MEASURED.search(self.goal_row(goal) or "")
        if found is None:
            return None
        median, low, high = (float(figure.replace(",", "")) for figure in found.groups())
        return median, low, high

"""The charts of the page: ratios to Kafka, each scenario's figures by target, and latencies by percentile.

Bars are medians, lines on them ranges. Targets keep their colour on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from typing import NamedTuple

from bench.page.drawing import Box, Drawing, Line, Text
from bench.spread import Spread

Row = tuple[str, Spread, float]  # label, ratio, line to reach

COLOURS = {
    "kafka": "#5b5b66",
    "tansu": "#8d6cab",
    "logd": "#2a7f62",
    "logd-full": "#7ab8a0",
    "compiled": "#14503c",
    "null": "#9a9aa5",
    "floor": "#b8742a",
    "echo": "#dbc29a",
}
_REACHED, _NOT_REACHED, _RED, _GREY = "#2a7f62", "#b8742a", "#cc0000", "#dddddd"
_MARGIN = 20
_TITLE = 15


def ratio_chart(title: str, rows: Sequence[Row]) -> Drawing:
    """Ratios from 0 on; the axis ends at the largest value, at least at 1."""
    label, plot, row_height, top = 330, 420, 30, 56
    largest = max([1.0, *(high for _, (_, _, high), _ in rows)]) * 1.05
    bottom = top + row_height * len(rows)
    drawing = Drawing(label + plot + 90, bottom + 30)

    def x(value: float) -> float:
        return label + max(value, 0) / largest * plot

    drawing.shapes += [
        Text(_MARGIN, 26, title, _TITLE, bold=True),
        Line(x(1), top - 10, x(1), bottom, "#555555"),
        Text(x(1), bottom + 16, "Kafka", anchor="middle"),
        Text(label, 44, "dashed: the line to pass", colour=_RED),
    ]
    for number, (name, (median, low, high), line) in enumerate(rows):
        middle = top + row_height * number + row_height / 2
        colour = _REACHED if median <= line else _NOT_REACHED
        drawing.shapes += [
            Text(_MARGIN, middle + 4, name),
            Box(label, middle - 8, x(median) - label, 16, colour),
            Line(x(low), middle, x(high), middle),
            Line(x(line), middle - 11, x(line), middle + 11, _RED, dashed=True),
            Text(label + plot + 12, middle + 4, f"{median:.2f} ×"),
        ]
    return drawing


class Group(NamedTuple):
    """One figure of one scenario, by target."""

    title: str
    unit: str
    digits: int
    by_target: Mapping[str, Spread]


def target_chart(title: str, groups: Sequence[Group]) -> Drawing:
    """A bar for each target, on a scale of its own for each group."""
    label, plot, row_height, gap, top = 120, 480, 19, 34, 44
    rows = sum(len(group.by_target) for group in groups)
    drawing = Drawing(label + plot + 210, top + rows * row_height + len(groups) * gap + _MARGIN)
    drawing.shapes.append(Text(_MARGIN, 26, title, _TITLE, bold=True))
    y = float(top)
    for group in groups:
        largest = max([high for _, _, high in group.by_target.values()] + [1e-9])
        y += gap
        drawing.shapes.append(Text(_MARGIN, y - 8, f"{group.title}, {group.unit}", 13, bold=True))
        for target, spread in group.by_target.items():
            drawing.shapes += _bar(label, y, plot / largest, target, spread, group.digits)
            y += row_height
    return drawing


def _bar(
    left: float, y: float, scale: float, target: str, spread: Spread, digits: int
) -> list[Line | Box | Text]:
    median, low, high = (max(value, 0.0) for value in spread)
    middle = y + 8
    told = f"{spread[0]:,.{digits}f} [{spread[1]:,.{digits}f}–{spread[2]:,.{digits}f}]"
    return [
        Text(left - 8, middle + 4, target, anchor="end"),
        Box(left, y + 1, median * scale, 14, COLOURS.get(target, "#999999")),
        Line(left + low * scale, middle, left + high * scale, middle),
        Text(left + high * scale + 6, middle + 4, told, 11),
    ]


class Curves(NamedTuple):
    """Latencies of one scenario: by target the values at `ticks`, in microseconds."""

    title: str
    ticks: Sequence[str]
    by_target: Mapping[str, Sequence[float]]


def latency_chart(title: str, panels: Sequence[Curves]) -> Drawing:
    """Two panels in a row; the tail is stretched, latency is on a logarithmic scale."""
    left, plot, right, height, gap, top = 70, 330, 90, 150, 70, 44
    rows = -(-len(panels) // 2)
    drawing = Drawing(2 * (left + plot + right), top + rows * (height + gap) + _MARGIN)
    drawing.shapes.append(Text(_MARGIN, 26, title, _TITLE, bold=True))
    for number, panel in enumerate(panels):
        row, column = divmod(number, 2)
        x = left + column * (left + plot + right)
        _panel(drawing, panel, x, top + row * (height + gap) + 34, plot, height)
    return drawing


def _panel(drawing: Drawing, panel: Curves, left: float, top: float, width: float, height: float) -> None:
    values = [max(value, 1.0) for curve in panel.by_target.values() for value in curve]
    lowest, highest = floor(log10(min(values))), ceil(log10(max(values) * 1.0001))

    def y(value: float) -> float:
        return top + height - (log10(max(value, 1.0)) - lowest) / max(highest - lowest, 1) * height

    step = width / max(len(panel.ticks) - 1, 1)
    drawing.shapes.append(Text(left - 50, top - 12, f"{panel.title}, µs", 12, bold=True))
    for power in range(lowest, highest + 1):
        at = y(10.0**power)
        drawing.shapes += [
            Line(left, at, left + width, at, _GREY),
            Text(left - 8, at + 4, f"{10**power:,}", 11, "end"),
        ]
    for number, tick in enumerate(panel.ticks):
        drawing.shapes.append(Text(left + number * step, top + height + 16, tick, 11, "middle"))
    names = _apart({target: y(curve[-1]) for target, curve in panel.by_target.items()})
    for target, curve in panel.by_target.items():
        colour = COLOURS.get(target, "#999999")
        points = [(left + number * step, y(value)) for number, value in enumerate(curve)]
        drawing.shapes += [Line(*begin, *end, colour, width=2) for begin, end in pairwise(points)]
        drawing.shapes.append(Text(left + width + 8, names[target] + 4, target, 12, colour=colour))


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """The same heights, moved down where two would lie on each other."""
    placed: dict[str, float] = {}
    last = float("-inf")
    for name, height in sorted(heights.items(), key=lambda each: each[1]):
        last = placed[name] = max(height, last + 14)
    return placed

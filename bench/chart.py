"""A bar chart as plain SVG: one row per ratio, a bar for the median, a line for the range, a tick for the goal."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Row = tuple[str, tuple[float, float, float], float]  # label, (median, low, high), line to reach

_LABEL = 330
_PLOT = 420
_ROW = 30
_TOP = 56
_MARGIN = 20


def ratio_chart(title: str, rows: Sequence[Row]) -> str:
    """Ratios from 0 on; the axis ends at the largest value, at least at 1."""
    largest = max([1.0, *(high for _, (_, _, high), _ in rows)]) * 1.05
    height = _TOP + _ROW * len(rows) + 30
    width = _LABEL + _PLOT + 90

    def x(value: float) -> float:
        return _LABEL + value / largest * _PLOT

    bottom = _TOP + _ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{_MARGIN}" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
        f'<line x1="{x(1):.1f}" y1="{_TOP - 10}" x2="{x(1):.1f}" y2="{bottom}" stroke="#555"/>',
        f'<text x="{x(1):.1f}" y="{bottom + 16}" text-anchor="middle">Kafka</text>',
    ]
    for number, (label, (median, low, high), line) in enumerate(rows):
        middle = _TOP + _ROW * number + _ROW / 2
        colour = "#2a7f62" if median <= line else "#b8742a"
        parts += [
            f'<text x="{_MARGIN}" y="{middle + 4:.1f}">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{middle - 8:.1f}" width="{max(x(median) - _LABEL, 0):.1f}" height="16" '
            f'fill="{colour}"/>',
            f'<line x1="{x(max(low, 0)):.1f}" y1="{middle:.1f}" x2="{x(high):.1f}" y2="{middle:.1f}" '
            'stroke="black"/>',
            f'<line x1="{x(line):.1f}" y1="{middle - 11:.1f}" x2="{x(line):.1f}" y2="{middle + 11:.1f}" '
            'stroke="#c00" stroke-dasharray="3 2"/>',
            f'<text x="{x(max(high, median)) + 6:.1f}" y="{middle + 4:.1f}">{median:.2f} ×</text>',
        ]
    parts += [f'<text x="{_LABEL}" y="44" fill="#c00">dashed: the line to pass</text>', "</svg>", ""]
    return "\n".join(parts)

"""A picture as a list of shapes, which bench/page/svg.py and bench/page/png.py draw alike.

Lengths are pixels, from the top left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, slots=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float
    colour: str = "#000000"
    width: int = 1
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """Filled."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Text:
    """`y` is its base line, `x` where its start, middle or end is."""

    x: float
    y: float
    text: str
    size: int = 12
    anchor: Anchor = "start"
    colour: str = "#000000"
    bold: bool = False


@dataclass(slots=True)
class Drawing:
    width: int
    height: int
    shapes: list[Line | Box | Text] = field(default_factory=list)
    """Later ones lie above."""

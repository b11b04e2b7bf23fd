"""A drawing as PNG, by Pillow (dependency group `test`), at twice the size so that it is sharp.

Letters are those of Pillow's own font, which every installation has; it knows little beyond ASCII, so × is written x.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

from bench.page.drawing import Box, Drawing, Line, Text

_SCALE = 2
_DASH, _GAP = 3, 2
_LETTERS = str.maketrans({"×": "x", "µ": "u", "–": "-", "≤": "<=", "≥": ">=", "…": "..."})
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def to_png(drawing: Drawing) -> bytes:
    image = Image.new("RGB", (drawing.width * _SCALE, drawing.height * _SCALE), "white")
    pen = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        match shape:
            case Line():
                _draw_line(pen, shape)
            case Box(x, y, width, height, colour):
                right, bottom = (x + width) * _SCALE - 1, (y + height) * _SCALE - 1
                if right >= x * _SCALE and bottom >= y * _SCALE:  # else it is thinner than a pixel
                    pen.rectangle((x * _SCALE, y * _SCALE, right, bottom), fill=colour)
            case Text(x, y, text, size, anchor, colour, bold):
                pen.text(
                    (x * _SCALE, y * _SCALE),
                    text.translate(_LETTERS),
                    fill=colour,
                    font=ImageFont.load_default(size * _SCALE),
                    anchor=_ANCHORS[anchor],
                    stroke_width=0.5 if bold else 0,
                )
    encoded = BytesIO()
    image.quantize(32).save(encoded, "PNG", optimize=True)
    return encoded.getvalue()


def _draw_line(pen: ImageDraw.ImageDraw, line: Line) -> None:
    length = max(abs(line.x2 - line.x1), abs(line.y2 - line.y1))
    steps = max(int(length / (_DASH + _GAP)), 1) if line.dashed else 1
    drawn = _DASH / (_DASH + _GAP) if line.dashed else 1.0
    for step in range(steps):
        begin, end = step / steps, (step + drawn) / steps
        pen.line((*_point(line, begin), *_point(line, end)), fill=line.colour, width=line.width * _SCALE)


def _point(line: Line, part: float) -> tuple[float, float]:
    return (
        (line.x1 + (line.x2 - line.x1) * part) * _SCALE,
        (line.y1 + (line.y2 - line.y1) * part) * _SCALE,
    )

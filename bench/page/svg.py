"""A drawing as SVG: text a browser shows, and a diff of which a person can read."""

from __future__ import annotations

from html import escape

from bench.page.drawing import Box, Drawing, Line, Text


def to_svg(drawing: Drawing) -> str:
    width, height = drawing.width, drawing.height
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *map(_element, drawing.shapes),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def _element(shape: Line | Box | Text) -> str:
    match shape:
        case Line(x1, y1, x2, y2, colour, width, dashed):
            dashes = ' stroke-dasharray="3 2"' if dashed else ""
            return (
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                f'stroke-width="{width}"{dashes}/>'
            )
        case Box(x, y, width, height, colour):
            return (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
            )
        case Text(x, y, text, size, anchor, colour, bold):
            weight = ' font-weight="bold"' if bold else ""
            return (
                f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
                f"{escape(text)}</text>"
            )

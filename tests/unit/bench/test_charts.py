"""Goal: charts show what they are given, as SVG and as PNG. Method: read both back; a bar is where it should be."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from bench.page.chart import COLOURS, Curves, Group, latency_chart, ratio_chart, target_chart
from bench.page.drawing import Box, Drawing, Line, Text
from bench.page.png import to_png
from bench.page.svg import to_svg

ROW = ("c & d", (0.5, 0.4, 0.6), 0.5)


def test_svg_escapes_its_text() -> None:
    drawn = to_svg(ratio_chart("a < b", [ROW]))
    assert "a &lt; b" in drawn
    assert "c &amp; d" in drawn
    assert "0.50 ×" in drawn


def test_png_has_the_shapes_at_twice_the_size() -> None:
    shapes: list[Line | Box | Text] = [
        Box(10, 10, 20, 5, "#ff0000"),
        Line(50, 0, 50, 40, "#0000ff", width=2),
        Line(0, 30, 40, 30, "#00ff00", dashed=True),
        Text(60, 20, "1.5 × µ – é"),
    ]
    image = Image.open(BytesIO(to_png(Drawing(200, 40, shapes)))).convert("RGB")
    assert image.size == (400, 80)
    assert image.getpixel((30, 25)) == (255, 0, 0)
    assert image.getpixel((70, 25)) == (255, 255, 255)
    assert image.getpixel((100, 40)) == (0, 0, 255)
    row = [image.getpixel((x, 60)) for x in range(80)]
    assert {(0, 255, 0), (255, 255, 255)} == set(row)  # dashes and gaps
    text = image.crop((120, 10, 240, 44)).getcolors()
    assert text is not None and len(text) > 2


@pytest.mark.parametrize("median", [0.0, -0.1, 0.0001])
def test_a_bar_of_nothing_is_drawn_nowhere(median: float) -> None:
    to_png(ratio_chart("", [("", (median, median, 0.2), 0.5)]))


def test_bars_are_on_one_scale_within_a_group() -> None:
    groups = [
        Group("first", "s/GB", 1, {"kafka": (4.0, 3.0, 5.0), "logd": (1.0, 1.0, 1.0)}),
        Group("second", "MB", 0, {"logd": (200.0, 100.0, 300.0)}),
    ]
    drawing = target_chart("", groups)
    kafka, logd, other = (shape for shape in drawing.shapes if isinstance(shape, Box))
    assert kafka.width == pytest.approx(4 * logd.width)
    assert (kafka.colour, logd.colour, other.colour) == (COLOURS["kafka"], COLOURS["logd"], COLOURS["logd"])
    told = [shape.text for shape in drawing.shapes if isinstance(shape, Text)]
    assert {"first, s/GB", "4.0 [3.0–5.0]", "second, MB", "200 [100–300]"} <= set(told)


def test_latencies_rise_towards_the_tail_and_names_do_not_overlap() -> None:
    curves = {"kafka": [100.0, 1000.0, 20_000.0], "logd": [50.0, 400.0, 20_000.0]}
    drawing = latency_chart("", [Curves("S7", ("p50", "p99", "max"), curves)])
    lines = [shape for shape in drawing.shapes if isinstance(shape, Line) and shape.width == 2]
    assert len(lines) == 4
    assert all(line.y2 < line.y1 for line in lines)  # upwards
    names = sorted(shape.y for shape in drawing.shapes if isinstance(shape, Text) and shape.text in curves)
    assert names[1] - names[0] >= 14
    scale = [shape.text for shape in drawing.shapes if isinstance(shape, Text) and shape.anchor == "end"]
    assert scale == ["10", "100", "1,000", "10,000", "100,000"]

"""Goal: -o says where reading starts and stops. Method: every value; offsets worked out over leaders of a few lines."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import pytest

from logd.cli import consume_start
from logd.cli.consume_start import BEGINNING, Bounds, Start, Stretch, find_stretches, parse_start
from protocol.types import TopicPartition

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)
FIRST = {P0: 10, P1: 0}
LAST = {P0: 20, P1: 3}
NOW_MS = 5_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("beginning", Start("beginning")),
        ("end", Start("end")),
        ("0", Start("offset", 0)),
        ("12", Start("offset", 12)),
        ("-5", Start("tail", 5)),
        ("s@17", Start("from_time", 17)),
        ("e@18", Start("until_time", 18)),
    ],
)
def test_values(text: str, expected: Start) -> None:
    assert parse_start(text) == expected


@pytest.mark.parametrize(
    "text", ["", "first", "stored", "1.5", "s@", "s@-1", "x@1", "@1", "--5", "1" * 19, "٣"]
)
def test_wrong_values(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_start(text)


def _stretches(monkeypatch: pytest.MonkeyPatch, bounds: Bounds) -> dict[TopicPartition, Stretch]:
    """Partition 0 has a record at time 1000 + offset for each offset, partition 1 none later than 3."""

    async def ask(
        _cluster: Any, partitions: Any, timestamp: int, _committed: bool
    ) -> dict[TopicPartition, int]:
        if timestamp == -2:
            return FIRST
        if timestamp == -1:
            return LAST
        return {
            P0: max(10, timestamp - 1000) if timestamp - 1000 < 20 else -1,
            P1: 0 if timestamp < 3 else -1,
        }

    monkeypatch.setattr(consume_start, "_ask", ask)
    return asyncio.run(find_stretches(None, [P0, P1], bounds, NOW_MS))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (BEGINNING, (10, 0)),
        (Start("end"), (20, 3)),
        (Start("offset", 12), (12, 3)),
        (Start("offset", 2), (10, 2)),
        (Start("tail", 2), (18, 1)),
        (Start("tail", 100), (10, 0)),
        (Start("from_time", 1015), (15, 3)),
        (Start("from_time", 9000), (20, 3)),
    ],
)
def test_starts(monkeypatch: pytest.MonkeyPatch, start: Start, expected: tuple[int, int]) -> None:
    found = _stretches(monkeypatch, Bounds(start, None, False, True))
    assert found == {P0: Stretch(expected[0], None), P1: Stretch(expected[1], None)}


@pytest.mark.parametrize(
    ("until_ms", "stop_at_end", "expected"),
    [
        (None, True, (20, 3)),
        (1015, False, (15, 3)),  # over: nothing more comes to partition 1
        (1015, True, (15, 3)),
        (9000, False, (None, None)),  # to come: decided by what is read
        (9000, True, (20, 3)),
    ],
)
def test_ends(
    monkeypatch: pytest.MonkeyPatch,
    until_ms: int | None,
    stop_at_end: bool,
    expected: tuple[int | None, int | None],
) -> None:
    found = _stretches(monkeypatch, Bounds(BEGINNING, until_ms, stop_at_end, True))
    assert (found[P0].end, found[P1].end) == expected

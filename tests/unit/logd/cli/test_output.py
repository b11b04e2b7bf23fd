"""What commands say to people."""

from __future__ import annotations

import pytest

from logd.cli.output import format_count


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "note", "0 notes"),
        (1, "note", "1 note"),
        (1, "batch", "1 batch"),
        (2000, "batch", "2,000 batches"),
    ],
)
def test_how_many(number: int, noun: str, text: str) -> None:
    assert format_count(number, noun) == text

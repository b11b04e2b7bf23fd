"""Goal: delimiters and literals come out as the bytes that were meant. Method: each escape, any bytes."""

from __future__ import annotations

import argparse
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.cli.record_text import delimiter, unescape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", b""),
        (":", b":"),
        ("\\n", b"\n"),
        ("\\t\\r\\0", b"\t\r\0"),
        ("\\x41\\x4\\xfFg", b"A\x04\xffg"),
        ("\\xg", b"xg"),
        ("\\\\n", b"\\n"),
        ("\\:", b":"),
        ("end\\", b"end\\"),
        ("ä", "ä".encode()),
        ("\udcff", b"\xff"),
    ],
)
def test_escapes(text: str, expected: bytes) -> None:
    assert unescape(text) == expected


@given(st.binary(max_size=20))
def test_any_bytes_can_be_said(data: bytes) -> None:
    assert unescape("".join(f"\\x{byte:02x}" for byte in data)) == data
    assert unescape(os.fsdecode(data.replace(b"\\", b"\\\\"))) == data


def test_an_empty_delimiter_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        delimiter("")

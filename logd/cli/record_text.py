"""Bytes as options spell them: delimiters, keys and the literal parts of formats.

    \\n \\r \\t \\0    line feed, carriage return, tab, zero byte
    \\xHH           the byte with that number, one or two hexadecimal digits
    \\\\ and others  the character itself

What is not an escape stands for the bytes that the shell passed, whatever the locale.
"""

from __future__ import annotations

import argparse
import os
import re

_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0"}


def unescape(text: str) -> bytes:
    return _ESCAPE.sub(_replace, os.fsencode(text))


def delimiter(text: str) -> bytes:
    """What input is cut at, for argparse: not empty."""
    if not text:
        raise argparse.ArgumentTypeError("the delimiter is empty")
    return unescape(text)


def _replace(match: re.Match[bytes]) -> bytes:
    what = match[1]
    if what[:1] == b"x" and len(what) > 1:
        return bytes((int(what[1:], 16),))
    return _NAMED.get(what, what)

"""Real text that every machine has: the lines of the installed Python standard library."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator


def read_lines() -> list[bytes]:
    """Every line of every .py file, without its line end, in an order that does not change between calls."""
    lines: list[bytes] = []
    for path in _source_files(sysconfig.get_path("stdlib")):
        with open(path, "rb") as stream:
            lines += stream.read().splitlines()
    return lines


def _source_files(root: str) -> Iterator[str]:
    for directory, subdirectories, names in os.walk(root):
        subdirectories[:] = sorted(set(subdirectories) - {"site-packages", "__pycache__"})
        for name in sorted(names):
            if name.endswith(".py"):
                yield os.path.join(directory, name)

"""Asking before something is lost: on a terminal only, so that scripts never wait for an answer."""

from __future__ import annotations

import asyncio
import sys

from logd.cli.errors import CommandError
from logd.console import printable


async def confirm(question: str) -> None:
    """Ask whether to go on, where somebody can answer. Raises CommandError when the answer is not yes."""
    if sys.stdin is None or sys.stderr is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    sys.stderr.write(f"{printable(question)} [y/N] ")
    sys.stderr.flush()
    if (await _line()).strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was changed", "answer y to go on, or give --yes")


async def _line() -> str:
    """The next line of standard input. Waits on the loop, since there Ctrl-C ends a wait and a blocking read not."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())
    return sys.stdin.readline()

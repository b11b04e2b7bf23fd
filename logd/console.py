"""Lines for people and scripts on standard output and standard error; each is out of the process when the call returns.

Not logging: this is the output of a command, part of its interface.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def say(line: str) -> None:
    """A broker goes on when nobody reads what it says, such as a script that took the first line, or a full disk."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        warn(f"cannot write to standard output: {error.strerror}")


def discard_output() -> None:
    """Standard output goes nowhere from here on; what is still in its buffer would otherwise fail once more."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
    except (OSError, AttributeError, ValueError):  # no descriptor stands behind it, so nothing will fail
        pass


def warn(message: str) -> None:
    """One line, whatever the message quotes. A standard error that takes nothing changes no command's outcome."""
    if sys.stderr is None:
        return
    with suppress(OSError):
        sys.stderr.write(f"logd: {printable(message)}\n")
        sys.stderr.flush()


def printable(text: str) -> str:
    """The text with what a terminal would act on, line ends among it, spelt out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)

"""Lines for people and scripts on standard output and standard error; each is out of the process when the call returns.

Not logging: this is the output of a command, part of its interface.
"""

from __future__ import annotations

import sys


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def warn(message: str) -> None:
    """One line, whatever the message quotes."""
    if sys.stderr is None:
        return
    sys.stderr.write(f"logd: {printable(message)}\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """The text with what a terminal would act on, line ends among it, spelt out."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)

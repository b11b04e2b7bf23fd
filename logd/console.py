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
    line = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in message)
    sys.stderr.write(f"logd: {line}\n")
    sys.stderr.flush()

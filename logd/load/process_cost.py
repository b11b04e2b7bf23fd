"""CPU time of a process and its children, from Linux's /proc."""

from __future__ import annotations

import os
from contextlib import suppress

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process and its living children, in steps of 10 ms.

    Raises: OSError where there is no such process, or no /proc.
    """
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    user, system, user_of_dead_children, system_of_dead_children = map(int, fields[11:15])
    own = (user + system + user_of_dead_children + system_of_dead_children) / _TICKS_PER_S
    for child in children(pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            own += cpu_seconds(child)
    return own


def children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with (
            suppress(FileNotFoundError, ProcessLookupError),  # the same of a thread
            open(f"/proc/{pid}/task/{thread}/children", "rb") as file,
        ):
            found += map(int, file.read().split())
    return found

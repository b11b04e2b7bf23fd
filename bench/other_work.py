"""How much of the machine others took than the bench and what it has started: they spoil every figure.

The load average does not tell: in a series of scenarios it holds what the one before has done. Here the bench's own
processes are taken off what all cores did, and the kernel's threads, which work for whoever writes. In a container
these cannot be told apart, and count as others.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from logd.load.process_cost import cpu_seconds

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KERNEL = 2
"""The process whose children are the kernel's threads."""


class OtherWork:
    """From when it is made on."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._not_ours_s, self._kernel_s = _not_ours_s(), _kernel_s()

    def cores(self) -> float:
        """How many cores others have kept busy; not below nothing, which clocks of 10 ms could come to."""
        taken_s = max(time.monotonic() - self._began_s, 0.01)
        # A thread of the kernel that ends takes what it has used with it.
        kernel_s = max(_kernel_s() - self._kernel_s, 0.0)
        return max(_not_ours_s() - self._not_ours_s - kernel_s, 0.0) / taken_s


def _not_ours_s() -> float:
    """CPU that all but the bench have used since the machine started, the kernel's threads still among them."""
    return _all_s() - cpu_seconds(os.getpid())


def _all_s() -> float:
    """Of all cores: neither idle nor waiting for a disk, nor taken by the host."""
    with open("/proc/stat") as stat:
        user, nice, system, _idle, _waiting, interrupts, soft_interrupts = map(
            int, stat.readline().split()[1:8]
        )
    return (user + nice + system + interrupts + soft_interrupts) / _TICKS_PER_S


def _kernel_s() -> float:
    with suppress(OSError):  # there is no such process in a container, or it is something else
        if Path(f"/proc/{_KERNEL}/comm").read_text() == "kthreadd\n":
            return cpu_seconds(_KERNEL)
    return 0.0

"""What a process and its living children have used so far, all threads together, from /proc.

Context switches of threads that have ended are not known any more. Written bytes are those made dirty in files, read
bytes those fetched from the disk: neither counts what goes through sockets. Waiting is that of threads which could have
run and had no core, all of them together: on a machine that is busy with something else it grows, and latency with it.
It is 0 where the kernel does not count it, and what threads have waited that ended is not known any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from logd.load.process_cost import children, cpu_seconds


class Usage(NamedTuple):
    cpu_s: float = 0.0
    context_switches: int = 0
    waited_s: float = 0.0
    written_bytes: int = 0
    read_bytes: int = 0

    def since(self, before: Usage) -> Usage:
        """Not below nothing: a child may have ended meanwhile, and its counts with it."""
        return Usage(
            max(self.cpu_s - before.cpu_s, 0.0),
            max(self.context_switches - before.context_switches, 0),
            max(self.waited_s - before.waited_s, 0.0),
            max(self.written_bytes - before.written_bytes, 0),
            max(self.read_bytes - before.read_bytes, 0),
        )


def usage(pid: int) -> Usage:
    """Raises: OSError where there is no such process."""
    switches = waited_ns = written = read = 0
    for each in (pid, *_descendants(pid)):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            for thread in os.listdir(f"/proc/{each}/task"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    switches += _context_switches(f"/proc/{each}/task/{thread}")
                    waited_ns += _waited_ns(f"/proc/{each}/task/{thread}")
            counts = _numbers(f"/proc/{each}/io")
            written += counts["write_bytes"]
            read += counts["read_bytes"]
    return Usage(cpu_seconds(pid), switches, waited_ns / 1e9, written, read)


def memory_mb(pid: int) -> dict[str, float]:
    """Resident memory of the process alone, now and at its highest, in MB of 10^6 bytes."""
    sizes = _numbers(f"/proc/{pid}/status")
    return {"rss_mb": sizes["VmRSS"] * 1024 / 1e6, "rss_peak_mb": sizes["VmHWM"] * 1024 / 1e6}


def _descendants(pid: int) -> Iterator[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in children(pid):
            yield child
            yield from _descendants(child)


def _context_switches(thread: str) -> int:
    counts = _numbers(f"{thread}/status")
    return counts["voluntary_ctxt_switches"] + counts["nonvoluntary_ctxt_switches"]


def _waited_ns(thread: str) -> int:
    with open(f"{thread}/schedstat") as file:
        _ran_ns, waited_ns, _turns = file.read().split()
    return int(waited_ns)


def _numbers(path: str) -> dict[str, int]:
    """The lines `name: number …` of a file."""
    found = {}
    with open(path) as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            first = rest.split()[:1]
            if first and first[0].isdigit():
                found[name] = int(first[0])
    return found

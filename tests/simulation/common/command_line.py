"""The command of a simulation: looks for violations over many seeds, or shows one run.

    python -m tests.simulation.NAME --seeds 100000 --start 1        many runs, as many at a time as there are CPUs
    python -m tests.simulation.NAME --start 4711 --seeds 1          one run, with all that happened in it
    python -m tests.simulation.NAME --start 1 --seeds 50 --bug X    with a planted bug

A sweep that was stopped goes on where its last line says.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

_AT_ONCE = 50


class Violation(AssertionError):
    """Something does not hold; says what, what came before, and how to see it again."""


class Run(Protocol):
    """What is shown of a run that found nothing."""

    trace: list[str]

    @property
    def elapsed_ms(self) -> int: ...


class Simulated(NamedTuple):
    """What the command needs to know of a simulation; found again by name in the processes that share the work."""

    name: str
    run: Callable[..., Run]
    """Run a seed: `run(seed, bug=…, keep=…)`; raises Violation."""
    planted: Callable[[str | None], AbstractContextManager[None]]
    bugs: Collection[str]


def replay_command(name: str, seed: int, bug: str | None) -> str:
    planted = f" --bug {bug}" if bug else ""
    return f"python -m tests.simulation.{name} --start {seed} --seeds 1{planted}"


def main(simulated: Simulated) -> int:
    options = _parse(simulated)
    if options.seeds == 1:
        return _show(simulated, options.start, options.bug)
    started, done, failed = time.monotonic(), 0, 0
    starts = range(options.start, options.start + options.seeds, _AT_ONCE)
    ends = [min(start + _AT_ONCE, options.start + options.seeds) for start in starts]
    with ProcessPoolExecutor(options.jobs) as pool:
        tasks = pool.map(_sweep, [simulated] * len(ends), starts, ends, [options.bug] * len(ends))
        for count, found in tasks:
            done += count
            for violation in found:
                failed += 1
                print(violation, flush=True)
            print(
                f"{done} of {options.seeds} seeds, {time.monotonic() - started:.0f} s, "
                f"next is --start {options.start + done}",
                file=sys.stderr,
                flush=True,
            )
            if failed >= options.stop_after:
                pool.shutdown(cancel_futures=True)
                break
    print(f"{done} seeds, {failed} with a violation")
    return 1 if failed else 0


def _sweep(simulated: Simulated, start: int, end: int, bug: str | None) -> tuple[int, list[str]]:
    """Run some seeds; return how many, and what was found."""
    found = []
    with simulated.planted(bug):
        for seed in range(start, end):
            try:
                simulated.run(seed, bug=bug)
            except Violation as violation:
                found.append(str(violation))
    return end - start, found


def _show(simulated: Simulated, seed: int, bug: str | None) -> int:
    with simulated.planted(bug):
        try:
            run = simulated.run(seed, bug=bug, keep=1 << 30)
        except Violation as violation:
            print(violation)
            return 1
    print("\n".join(run.trace))
    print(f"seed {seed}: {run.elapsed_ms} ms, nothing wrong")
    return 0


def _parse(simulated: Simulated) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m tests.simulation.{simulated.name}",
        description="Looks for violations, or replays one.",
    )
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=2000, help="how many; one alone is shown whole")
    parser.add_argument("--bug", choices=sorted(simulated.bugs), help="plant this bug first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--stop-after", type=int, default=1, help="violations")
    return parser.parse_args()

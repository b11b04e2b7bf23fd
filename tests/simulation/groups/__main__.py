"""Looks for violations, or replays one.

python -m tests.simulation.groups --seeds 100000 --start 1       many runs, as many at a time as there are CPUs
python -m tests.simulation.groups --start 4711 --seeds 1         one run, with all that happened in it
python -m tests.simulation.groups --start 1 --seeds 50 --bug generation_not_bumped    with a planted bug
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.groups.bugs import BUGS, planted
from tests.simulation.groups.simulation import Violation, run

_AT_ONCE = 50


def main() -> int:
    options = _parse()
    if options.seeds == 1:
        return _show(options.start, options.bug)
    started, done, failed = time.monotonic(), 0, 0
    starts = range(options.start, options.start + options.seeds, _AT_ONCE)
    ends = [min(start + _AT_ONCE, options.start + options.seeds) for start in starts]
    with ProcessPoolExecutor(options.jobs) as pool:
        for count, found in pool.map(_sweep, starts, ends, [options.bug] * len(ends)):
            done += count
            for violation in found:
                failed += 1
                print(violation, flush=True)
            print(
                f"{done} of {options.seeds} seeds, {time.monotonic() - started:.0f} s",
                file=sys.stderr,
                flush=True,
            )
            if failed >= options.stop_after:
                pool.shutdown(cancel_futures=True)
                break
    print(f"{done} seeds, {failed} with a violation")
    return 1 if failed else 0


def _sweep(start: int, end: int, bug: str | None) -> tuple[int, list[str]]:
    """Run some seeds; return how many, and what was found."""
    found = []
    with planted(bug):
        for seed in range(start, end):
            try:
                run(seed, bug=bug)
            except Violation as violation:
                found.append(str(violation))
    return end - start, found


def _show(seed: int, bug: str | None) -> int:
    with planted(bug):
        try:
            simulation = run(seed, bug=bug, keep=1 << 30)
        except Violation as violation:
            print(violation)
            return 1
    print("\n".join(simulation.trace))
    print(f"seed {seed}: {simulation.elapsed_ms} ms, nothing wrong")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.groups", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--start", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=2000, help="how many; one alone is shown whole")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant this bug first")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--stop-after", type=int, default=1, help="violations")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Replays one crash of the simulation, or looks for new ones.

python -m tests.simulation.storage --seed 3 --point 153 --variant torn     one crash, with what it left on disk
python -m tests.simulation.storage --seed 3                                every crash of one workload
python -m tests.simulation.storage --seed 3 --seeds 100                    of a hundred workloads
python -m tests.simulation.storage --seed 3 --bug acknowledged_before_synced    with a planted bug
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from storage.fs.faulty import POWER_LOSSES, FaultyFileSystem, Loss
from tests.simulation.storage.bugs import BUGS, planted
from tests.simulation.storage.crash import OPERATIONS, CrashFound, crash_everywhere


def main() -> int:
    options = _parse()
    losses = [Loss(options.variant)] if options.variant else POWER_LOSSES
    with ExitStack() as stack:
        if options.bug:
            stack.enter_context(planted(options.bug))
        for seed in range(options.seed, options.seed + options.seeds):
            try:
                outcome = crash_everywhere(
                    seed,
                    options.operations,
                    losses=losses,
                    only=options.point,
                    bug=options.bug,
                    look=_show if options.point else None,
                )
            except CrashFound as found:
                print(found)
                return 1
            print(f"seed {seed}: {outcome.points} operations, {outcome.crashes} crashes, nothing lost")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.storage", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seed", type=int, required=True, help="names the workload and what a crash takes")
    parser.add_argument("--seeds", type=int, default=1, help="how many workloads, from that seed on")
    parser.add_argument("--operations", type=int, default=OPERATIONS, help="file operations of a workload")
    parser.add_argument("--point", type=int, help="crash after this file operation only")
    parser.add_argument("--variant", choices=[loss.value for loss in Loss], help="lose this way only")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant this bug first")
    return parser.parse_args()


def _show(fs: FaultyFileSystem) -> None:
    """Lists what a crash left on disk."""
    for path in fs.walk():
        print(f"{fs.size(path):8d} {path}")


if __name__ == "__main__":
    sys.exit(main())

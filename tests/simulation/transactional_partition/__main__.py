"""Looks for violations, or replays one.

python -m tests.simulation.transactional_partition --seeds 10000 --start 1     many runs
python -m tests.simulation.transactional_partition --start 4711                one run, with all its steps
python -m tests.simulation.transactional_partition --start 1 --bug lso_ahead   with a planted bug
"""

from __future__ import annotations

import argparse
import sys

from tests.simulation.transactional_partition.bugs import BUGS, planted
from tests.simulation.transactional_partition.run import Violation, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--start", type=int, default=1)
    parser.add_argument("--bug", choices=sorted(BUGS))
    options = parser.parse_args()
    with planted(options.bug):
        for seed in range(options.start, options.start + options.seeds):
            try:
                run(seed, bug=options.bug)
            except Violation as violation:
                print(violation)
                return 1
    print(f"{options.seeds} seeds, no violation")
    return 0


if __name__ == "__main__":
    sys.exit(main())

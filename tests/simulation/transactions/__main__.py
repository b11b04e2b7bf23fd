"""Looks for violations, or replays one; see `tests.simulation.common.command_line`.

python -m tests.simulation.transactions --seeds 100000 --start 1      many runs, as many at a time as there are CPUs
python -m tests.simulation.transactions --start 4711 --seeds 1        one run, with all that happened in it
python -m tests.simulation.transactions --start 1 --seeds 50 --bug epoch_not_bumped    with a planted bug
"""

from __future__ import annotations

import sys

from tests.simulation.common.command_line import Simulated, main
from tests.simulation.transactions.bugs import BUGS, planted
from tests.simulation.transactions.simulation import NAME, run

if __name__ == "__main__":
    sys.exit(main(Simulated(NAME, run, planted, tuple(BUGS))))

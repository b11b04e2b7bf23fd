"""Looks for violations, or replays one; see `tests.simulation.common.command_line`.

python -m tests.simulation.groups --seeds 100000 --start 1       many runs, as many at a time as there are CPUs
python -m tests.simulation.groups --start 4711 --seeds 1         one run, with all that happened in it
python -m tests.simulation.groups --start 1 --seeds 50 --bug generation_not_bumped    with a planted bug
"""

from __future__ import annotations

import sys

from tests.simulation.common.command_line import Simulated, main
from tests.simulation.groups.bugs import BUGS, planted
from tests.simulation.groups.simulation import NAME, run

if __name__ == "__main__":
    sys.exit(main(Simulated(NAME, run, planted, tuple(BUGS))))

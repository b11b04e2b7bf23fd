"""Goal: a crash at any point of a pass leaves a log that says what was written, and that can be cleaned again.

Method: two passes on the faulty file system; after each of their operations, three kinds of power failure, and for each
operation of the recovery another one.
"""

from __future__ import annotations

import pytest

from tests.simulation.compaction.crash import crash_everywhere


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_crash_loses_nothing(seed: int) -> None:
    outcome = crash_everywhere(seed)
    assert outcome.swaps >= 3
    assert outcome.crashes > 300

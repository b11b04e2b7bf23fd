"""Seeds of tests that draw at random: new ones every time, printed, and given back to replay a failure."""

from __future__ import annotations

import os
import random


def seed_of_run() -> int:
    """Return the seed that LOGD_TEST_SEED names, or a new one; either is printed."""
    given = os.environ.get("LOGD_TEST_SEED")
    seed = random.SystemRandom().randrange(1 << 32) if given is None else int(given)
    print(f"LOGD_TEST_SEED={seed}")
    return seed

"""Real randomness, where pure code is handed a source of it."""

from __future__ import annotations

import os
import random


class SystemEntropy:
    """The operating system's random numbers."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def uuid(self) -> bytes:
        """Return 16 random bytes."""
        return os.urandom(16)

    def below(self, bound: int) -> int:
        """Return a number from 0 up to `bound`, exclusive."""
        return self._random.randrange(bound)

"""How far a whole benchmark has come: a bar on the last line of a terminal, and lines of text above it.

Elsewhere there is no bar; every step's line begins with how much is done. A bar is drawn when a step ends, never by a
thread meanwhile, which would be load.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

_WIDTH = 32


class ProgressBar:
    def __init__(self, steps: int, stream: TextIO | None = None) -> None:
        self._steps = max(steps, 1)
        self._done = 0
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
        self._began = time.monotonic()
        self._said: set[str] = set()
        self._draw()

    @property
    def done(self) -> int:
        return self._done

    def say(self, text: str) -> None:
        """A line of its own."""
        self._clear()
        self._stream.write(f"{text}\n")
        self._draw()

    def say_once(self, text: str) -> None:
        """Nothing where it was said already."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def step(self, text: str) -> None:
        """One step has ended, with this to say."""
        self._done = min(self._done + 1, self._steps)
        self.say(text if self._is_terminal else f"{self._done / self._steps:4.0%}  {text}")

    def reach(self, done: int) -> None:
        """So many steps are done, or will not be."""
        self._done = min(done, self._steps)
        self._draw()

    def close(self) -> None:
        self._clear()
        self._stream.flush()

    def __str__(self) -> str:
        filled = _WIDTH * self._done // self._steps
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        return f"[{bar}] {self._done / self._steps:4.0%}  {self._done} of {self._steps} steps  {minutes}:{seconds:02}"

    def _draw(self) -> None:
        if self._is_terminal:
            self._stream.write(f"\r{self}")
        self._stream.flush()

    def _clear(self) -> None:
        if self._is_terminal:
            self._stream.write("\r\x1b[K")

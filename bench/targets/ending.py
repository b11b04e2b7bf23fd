"""The end of a process that was started to be measured."""

from __future__ import annotations

import subprocess
from typing import Any

_PATIENCE_S = 10


def end(process: subprocess.Popen[Any]) -> None:
    """Ask it to end, and make it where it does not."""
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Goal: services are stopped in an orderly way. Method: one that says how often it was asked."""

from __future__ import annotations

import sys
from pathlib import Path

from services.orders.supervisor import Supervisor

_SLOW_TO_STOP = """
import signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
print("{\\"event\\": \\"ready\\", \\"url\\": \\"-\\"}", flush=True)
while not asked:
    time.sleep(0.01)
time.sleep(0.5)
print(f"asked {len(asked)} times", flush=True)
"""


def test_each_is_asked_once(tmp_path: Path) -> None:
    """A service that is asked twice ends at once, without leaving its group."""
    names = ("1", "2", "3")
    with Supervisor(tmp_path, {}) as services:
        for name in names:
            services.start("slow", name, command=[sys.executable, "-c", _SLOW_TO_STOP])
        for name in names:
            services.url("slow", name)
        services.remove("slow", "3")
    for name in names:
        assert "asked 1 times" in (tmp_path / "logs" / f"slow-{name}.log").read_text()

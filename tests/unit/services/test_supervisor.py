"""Goal: services are stopped in an orderly way. Method: one that says how often it was asked."""

from __future__ import annotations

import socket
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

_LISTENER = """
import json, socket, sys, time
port = int(dict(word.split("=", 1) for word in sys.argv[1:])["http_port"])
listener = socket.create_server(("127.0.0.1", port))
print(json.dumps({"event": "ready", "url": str(listener.getsockname()[1])}), flush=True)
time.sleep(60)
"""


def test_a_port_that_is_taken_at_the_last_moment(tmp_path: Path) -> None:
    """Another is taken in its place."""
    command = [sys.executable, "-c", _LISTENER]
    with socket.create_server(("127.0.0.1", 0)) as taken, Supervisor(tmp_path, {}) as services:
        port = taken.getsockname()[1]
        services.start("listener", command=command, http_port=str(port))
        assert services.url("listener") != str(port)


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

"""Ports that a test must know before a broker listens there, as that of a broker which is to come back to its address.

What it is not: for a broker whose port nobody has to know beforehand, which is given 0.

Ports lie below those that the kernel hands out by itself. Else whoever connects or binds meanwhile may be given the
port of a broker that is starting; and a client that tries the port of a dead broker may be given that very port to try
from, connect to itself, and keep the broker from coming back. Each worker of the tests has ports of its own.
"""

from __future__ import annotations

import itertools
import os
import socket

_FIRST, _END = 15_000, 30_000
_WORKERS = 16
_numbers = itertools.count(os.getpid())
"""Another start for each session, so that two on one machine hardly meet; no port comes back soon."""


def free_port() -> int:
    """Return a port that nothing listens on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    mine = range(_FIRST + worker, _END, _WORKERS)
    while True:
        port = mine[next(_numbers) % len(mine)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

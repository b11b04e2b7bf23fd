"""Clients that have said hello and are silent: the load of scenario S11, in a process of its own.

    python -m bench.clients.silent_clients BOOTSTRAP COUNT

Connects COUNT times, asks for the broker's versions on each, as every client does, prints `ready`, and keeps them all
open until standard input ends. In its own process, since a process with thousands of sockets is slow with each, and the
latency of an active client would be this process's, not the broker's.
"""

from __future__ import annotations

import resource
import sys

from bench.clients.wire import Connection
from logd.load.frames import frame
from protocol.messages.api_versions import ApiVersionsRequest

_ANSWER_BYTES = 4096
_SPARE_DESCRIPTORS = 1000


def allow_descriptors(connections: int) -> None:
    """Raise this process's limit, and that of those it starts, so that it can have so many connections.

    Raises: RuntimeError where the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"{wanted} descriptors are needed, and `ulimit -Hn` is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def main(bootstrap: str, count: int) -> None:
    allow_descriptors(count)
    hello = frame(ApiVersionsRequest(), 0)
    connections = []
    for _ in range(count):
        connections.append(Connection(bootstrap, answer_bytes=_ANSWER_BYTES))
        connections[-1].exchange(hello)
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

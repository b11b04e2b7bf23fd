"""A consumer that reads partition 0 of a topic from its start to its end: load of S16 and catch-up, in its own process.

    python -m bench.clients.topic_reader BOOTSTRAP TOPIC [PASSES]

Fetches of 1 MB, one at a time; the end is where it was when it connected. It prints `ready` when it is connected, waits
for a line, reads, and prints the bytes and the seconds that it took: the start of a Python process is in no figure.
`TopicReader` is the other end of that.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from types import TracebackType
from typing import NamedTuple

from bench.clients.wire import FETCH_VERSION, Connection, end_offset, fetch_request, next_offset
from bench.targets.ending import end
from bench.targets.registry import ROOT

_READY = "ready\n"


class Reading(NamedTuple):
    size_bytes: int
    seconds: float


class TopicReader:
    """Made, it is connected and waits for `go`. Leave the context when it is no longer needed."""

    def __init__(self, bootstrap: str, topic: str, passes: int = 1) -> None:
        """Raises: RuntimeError where it cannot connect."""
        words = [sys.executable, "-m", "bench.clients.topic_reader", bootstrap, topic, str(passes)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        if self._line() != _READY:
            self._close()
            raise RuntimeError(f"no reader of {topic}")

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def is_done(self) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def result(self) -> Reading:
        """Waits for it. Raises: RuntimeError where it failed."""
        words = self._line().split()
        if len(words) != 2 or self._process.wait() != 0:
            raise RuntimeError("the reader failed")
        return Reading(int(words[0]), float(words[1]))

    def __enter__(self) -> TopicReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _close(self) -> None:
        end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def main(bootstrap: str, topic: str, passes: str = "1") -> None:
    connection = Connection(bootstrap)
    last = end_offset(connection, topic)
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    began = time.perf_counter()
    read = sum(_read(connection, topic, last) for _ in range(int(passes)))
    print(read, time.perf_counter() - began, flush=True)


def _read(connection: Connection, topic: str, last: int) -> int:
    offset = read = 0
    while offset < last:
        response = connection.call(fetch_request(topic, offset), FETCH_VERSION)
        records = response.responses[0].partitions[0].records
        offset = next_offset(records)
        read += len(records)
    return read


if __name__ == "__main__":
    main(*sys.argv[1:])

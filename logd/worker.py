"""`python -m logd _worker KIND`: work that would keep the broker's loop from its clients, in a process of its own.

The broker writes one job to standard input and reads messages from standard output, each a frame: its length in four
bytes, big-endian, and JSON. A worker ends when its work is done, or when standard input ends, since then the broker is
gone; on Linux also when the broker's process dies in any other way. It only makes new files, which the broker renames.

A message is one of: {"progress": bytes} now and then; {"group": …} a segment is complete; {"result": …} all is done;
{"corrupt": [path, position, reason]} and {"failed": [path, message, fatal]} what storage raised.
Standard error is the broker's.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from storage.cleaning.job import CleaningJob

#: A job names every segment of a log, its aborted transactions and its producers.
FRAME_BYTES_MAX: Final = 64 << 20

#: How often a worker says how far it is, at most.
_PROGRESS_EVERY_S: Final = 0.25

#: The broker's clients come first.
_NICENESS: Final = 5

#: Seconds until a thread that has read something gets the interpreter: a piece is worked on for some milliseconds.
_SWITCH_INTERVAL_S: Final = 0.0001

_INPUT: Final = 0
_PR_SET_PDEATHSIG: Final = 1


def pack_frame(message: dict[str, Any]) -> bytes:
    """A message as it crosses a pipe."""
    body = json.dumps(message).encode()
    return len(body).to_bytes(4, "big") + body


def main(arguments: list[str]) -> int:
    """Do the job of kind `arguments[0]`."""
    parent = os.getppid()
    _die_with_parent()
    if os.getppid() != parent or arguments != ["clean"]:
        return 2
    job = json.loads(_read(int.from_bytes(_read(4), "big")))
    threading.Thread(target=_end_with_input, daemon=True).start()
    os.nice(_NICENESS)
    _clean(job)
    return 0


def _clean(fields: dict[str, Any]) -> None:
    from storage.cleaning.job import CleaningJob  # noqa: PLC0415 - the broker imports this module, too
    from storage.errors import CorruptLog, StorageFailure  # noqa: PLC0415

    bytes_per_second = fields.pop("bytes_per_second")
    try:
        _run_cleaner(CleaningJob.from_json(fields), Throttle(bytes_per_second).pace)
    except CorruptLog as error:
        _send({"corrupt": [error.path, error.position, error.reason]})
    except StorageFailure as failure:
        _send({"failed": [failure.path, failure.message, failure.fatal]})


def _run_cleaner(job: CleaningJob, pace: Callable[[int], None]) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from storage.cleaning.cleaner import Cleaner  # noqa: PLC0415
    from storage.cleaning.read_ahead import ReadAhead  # noqa: PLC0415
    from storage.fs.real import RealFileSystem  # noqa: PLC0415

    progress_at = time.monotonic() + _PROGRESS_EVERY_S

    def pace_and_tell(size: int) -> None:
        nonlocal progress_at
        pace(size)
        if time.monotonic() >= progress_at:
            progress_at = time.monotonic() + _PROGRESS_EVERY_S
            _send({"progress": cleaner.done_bytes})

    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with ThreadPoolExecutor(1, "read-ahead") as reader, ThreadPoolExecutor(1, "sync") as syncer:
        cleaner = Cleaner(
            RealFileSystem(),
            job,
            pace_and_tell,
            opened=lambda file: ReadAhead(file, reader),
            start_sync=lambda sync: syncer.submit(sync).result,
        )
        for group in cleaner.run():
            _send({"group": group})
    _send({"result": cleaner.result})


class Throttle:
    """Holds a worker to so many bytes a second, on average since it began."""

    def __init__(
        self,
        bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = max(bytes_per_second, 1.0)
        self._clock = clock
        self._sleep = sleep
        self._began = clock()
        self._bytes = 0

    def pace(self, size: int) -> None:
        """Waits until `size` more bytes are within the limit."""
        self._bytes += size
        ahead = self._bytes / self._bytes_per_second - (self._clock() - self._began)
        if ahead > 0:
            self._sleep(ahead)


def _send(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(pack_frame(message))
    sys.stdout.buffer.flush()


def _read(size: int) -> bytes:
    """`size` bytes of the input, which nothing buffers: see below."""
    pieces = []
    while size > 0 and (piece := os.read(_INPUT, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _end_with_input() -> None:
    # On the descriptor: a thread that waits inside of sys.stdin holds its lock, and the interpreter cannot end then.
    while os.read(_INPUT, 1 << 16):
        pass
    os._exit(3)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - nobody else needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

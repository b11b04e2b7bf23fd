"""A few threads for what would block the event loop: fsync, cold reads, removing files.

Work is handed over as a plain function without arguments and comes back on the loop. Nothing that burns Python time
belongs here: it would take the interpreter lock from the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

#: Enough for the flushes of some logs and the metadata log, and a chore, side by side.
WRITERS: Final = 4

#: Readers of old data have threads of their own: what they wait for must not keep anybody's flush waiting.
READERS: Final = 2

#: Threads of `run_side_by_side`. More gain little: the disk commits what came in during its last commit in one.
_SIDE_BY_SIDE: Final = 8


def run_side_by_side(works: Sequence[Callable[[], None]]) -> list[BaseException | None]:
    """Do all of `works` on threads of their own; returns for each how it failed, or None. Blocks."""
    with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(works) or 1), thread_name_prefix="logd-stop") as executor:
        return [future.exception() for future in [executor.submit(work) for work in works]]


class BlockingPool:
    """Some of the node's threads. Threads start when work comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int = WRITERS) -> None:
        self._loop = loop
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="logd-io")

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread and return what it returns, or raise what it raises.

        A thread cannot be stopped: who is cancelled meanwhile leaves `work` behind, unless it has not begun.
        """
        return await self._loop.run_in_executor(self._executor, work)

    def submit(self, work: Callable[[], T], done: Callable[[Future[T]], None]) -> None:
        """Run `work` on a thread and call `done` on the loop with its finished future."""
        future = self._executor.submit(work)
        future.add_done_callback(lambda finished: self._report(done, finished))

    def close(self) -> None:
        """Wait for work under way; what is queued still runs."""
        self._executor.shutdown(wait=True)

    def _report(self, done: Callable[[Future[T]], None], finished: Future[T]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(done, finished)

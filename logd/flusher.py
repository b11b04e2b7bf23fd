"""Group commit: makes appends durable for those who wait for that.

At most one flush of a log is under way. Appends that come meanwhile share the next one, so a hundred waiting
producers cost one fsync. A flush that fails is never tried again: the log directory goes offline. One that could not
be made for want of space or descriptors lost nothing, and is made later; whoever waits for it goes on waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from storage.errors import StorageFailure

if TYPE_CHECKING:
    from logd.pool import BlockingPool
    from logd.replicas import LocalPartition
    from storage.flush import FlushPlan


class Flusher:
    """Starts and counts the flushes of all logs of a node."""

    def __init__(
        self,
        pool: BlockingPool,
        moved: Callable[[LocalPartition], None],
        failed: Callable[[LocalPartition, StorageFailure], object],
    ) -> None:
        self._pool = pool
        self._moved = moved
        self._failed = failed
        self._requested: set[LocalPartition] = set()
        self._under_way: set[LocalPartition] = set()
        self._postponed: set[LocalPartition] = set()

    @property
    def busy(self) -> bool:
        """A flush is under way or asked for."""
        return bool(self._requested or self._under_way)

    def request(self, partition: LocalPartition) -> None:
        """Have everything appended so far made durable; `start` begins it."""
        self._requested.add(partition)

    def request_postponed(self) -> None:
        """Ask again for the flushes that could not be made. Called now and then, by the clock."""
        self._requested |= self._postponed
        self._postponed.clear()

    def start(self) -> None:
        """Begin the flushes asked for. Called once per turn of the loop, so that a turn's appends share one."""
        for partition in self._requested - self._under_way:
            self._requested.discard(partition)
            if partition.is_offline:
                continue  # another log may have taken its place on disk
            try:
                plan = partition.log.flush_plan()
            except StorageFailure as failure:
                self._flush_failed(partition, failure)
                continue
            self._under_way.add(partition)
            self._pool.submit(plan.run, partial(self._done, partition, plan))

    def _done(self, partition: LocalPartition, plan: FlushPlan, future: Future[None]) -> None:
        self._under_way.discard(partition)
        try:
            future.result()
        except StorageFailure as failure:
            self._flush_failed(partition, failure)
        else:
            partition.log.flushed(plan)
            partition.log_flushed()
            self._moved(partition)
        self.start()

    def _flush_failed(self, partition: LocalPartition, failure: StorageFailure) -> None:
        self._requested.discard(partition)
        if not failure.fatal:
            self._postponed.add(partition)
        self._failed(partition, failure)

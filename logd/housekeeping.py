"""What a node does by the clock: retention, checkpoints, flushes that are due, files that are to go.

One timer; what blocks goes to the pool, flushes aside at most one piece at a time, so that a slow disk is not given
more to do. Flushes do not wait for that: `flush.ms` is a promise. Intervals are Kafka's properties, and count on the
loop's clock: the wall clock may be set back.
"""

from __future__ import annotations

import asyncio
import logging
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

from storage.errors import StorageFailure

if TYPE_CHECKING:
    from logd.node import Node
    from protocol.types import TimestampMs
    from storage.directories.manager import LogManager, Plan

log = logging.getLogger("logd.housekeeping")

#: How often due work is looked for; the age of unflushed records is counted in this.
_TICK_S: Final = 0.5

#: Descriptors that logs may hold; sockets come on top.
_OPEN_FILES_MAX: Final = 4096

#: Retention waits this long after a start, as Kafka's does, so that recovery has the disk for itself.
_FIRST_RETENTION_S: Final = 30.0


class Housekeeping:
    """The node's chores. `start` begins them, `stop` ends them and leaves what is not due to the next start."""

    def __init__(self, node: Node, manager: LogManager) -> None:
        self._node = node
        self._config = node.config
        self._manager = manager
        self._plans: list[tuple[TimestampMs, int, Plan]] = []
        self._tie_breaker = count()
        self._ticker: asyncio.Task[None] | None = None
        self._worker: asyncio.Task[None] | None = None
        """Runs while plans are due."""
        self._stopping = False

    def later(self, plan: Plan) -> None:
        """Have `plan` run in the pool when it is due."""
        heappush(self._plans, (plan.not_before_ms, next(self._tie_breaker), plan))

    def start(self) -> None:
        self._ticker = self._node.loop.create_task(self._tick())

    async def stop(self) -> None:
        """Begin nothing more, and wait for the piece of work under way."""
        self._stopping = True
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait((self._ticker,))
        if self._worker is not None:
            await self._worker

    async def _tick(self) -> None:
        config = self._config
        clock = self._node.loop.time
        retention_s = config.log_retention_check_interval_ms / 1000
        checkpoint_s = (
            min(
                config.log_flush_offset_checkpoint_interval_ms,
                config.log_flush_start_offset_checkpoint_interval_ms,
                config.replica_high_watermark_checkpoint_interval_ms,
            )
            / 1000
        )
        retention_at = clock() + min(_FIRST_RETENTION_S, retention_s)
        checkpoint_at = clock() + checkpoint_s
        while True:
            await asyncio.sleep(_TICK_S)
            now_ms = self._node.now_ms()
            try:
                self._node.replicas.make_missing()
                self._flush(now_ms)
                if clock() >= retention_at:
                    retention_at = clock() + retention_s
                    self._apply_retention(now_ms)
                if clock() >= checkpoint_at:
                    checkpoint_at = clock() + checkpoint_s
                    for plan in self._manager.checkpoint_plans(self._node.replicas.high_watermarks):
                        self.later(plan)
                if self._worker is None and self._has_due:
                    self._worker = self._node.loop.create_task(self._work())
                self._manager.release_files(_OPEN_FILES_MAX)
            except Exception:
                # A fault in a chore must not end the chores.
                log.exception("housekeeping failed")

    def _flush(self, now_ms: TimestampMs) -> None:
        flusher = self._node.flusher
        flusher.request_postponed()
        for due in self._manager.due_for_flush(now_ms):
            partition = self._node.replicas.find(due.topic_partition)
            if partition is not None:
                flusher.request(partition)
        flusher.start()

    def _apply_retention(self, now_ms: TimestampMs) -> None:
        replicas = self._node.replicas
        work = self._manager.housekeeping(now_ms, replicas.high_watermarks)
        for plan in work.plans:
            self.later(plan)
        for topic_partition, failure in work.failures:
            partition = replicas.find(topic_partition)
            if partition is not None:  # an earlier failure may have taken its whole directory offline
                replicas.storage_failed(partition, failure)

    @property
    def _has_due(self) -> bool:
        return bool(self._plans) and self._plans[0][0] <= self._node.now_ms()

    async def _work(self) -> None:
        """Run what is due in the pool, one plan after the other."""
        while self._has_due and not self._stopping:
            plan = heappop(self._plans)[2]
            try:
                await self._node.pool.run(plan.run)
            except StorageFailure as failure:
                log.warning("chore failed error=%s", failure)
                self._node.replicas.disk_failed(failure)
            except Exception:
                log.exception("chore failed")
        self._worker = None

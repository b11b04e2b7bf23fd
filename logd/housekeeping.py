"""What a node does by the clock: retention, checkpoints, flushes that are due, files that are to go.

One timer; what blocks goes to the pool, at most one piece at a time, so that a slow disk is not given more to do.
Intervals are Kafka's properties.
"""

from __future__ import annotations

import asyncio
import logging
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

from storage.errors import StorageFailure

if TYPE_CHECKING:
    from logd.broker import Broker
    from protocol.types import TimestampMs
    from storage.manager import LogManager, Plan

log = logging.getLogger("logd.housekeeping")

#: How often due work is looked for; the age of unflushed records is counted in this.
_TICK_S: Final = 0.5

#: Descriptors that logs may hold; sockets come on top.
_OPEN_FILES_MAX: Final = 4096

#: Retention waits this long after a start, as Kafka's does, so that recovery has the disk for itself.
_FIRST_RETENTION_MS: Final = 30_000


class Housekeeping:
    """The node's chores. `start` begins them, `stop` ends them and leaves what is not due to the next start."""

    def __init__(self, broker: Broker, manager: LogManager) -> None:
        self._broker = broker
        self._config = broker.config
        self._manager = manager
        self._plans: list[tuple[TimestampMs, int, Plan]] = []
        self._tie_breaker = count()
        self._task: asyncio.Task[None] | None = None

    def later(self, plan: Plan) -> None:
        """Have `plan` run in the pool when it is due."""
        heappush(self._plans, (plan.not_before_ms, next(self._tie_breaker), plan))

    def start(self) -> None:
        self._task = self._broker.loop.create_task(self._run())

    async def stop(self) -> None:
        """Wait for the piece of work under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _run(self) -> None:
        config = self._config
        now_ms = self._broker.now_ms()
        retention_at = now_ms + min(_FIRST_RETENTION_MS, config.log_retention_check_interval_ms)
        checkpoint_ms = min(
            config.log_flush_offset_checkpoint_interval_ms,
            config.log_flush_start_offset_checkpoint_interval_ms,
            config.replica_high_watermark_checkpoint_interval_ms,
        )
        checkpoint_at = now_ms + checkpoint_ms
        while True:
            await asyncio.sleep(_TICK_S)
            now_ms = self._broker.now_ms()
            try:
                self._flush(now_ms)
                if now_ms >= retention_at:
                    retention_at = now_ms + config.log_retention_check_interval_ms
                    self._apply_retention(now_ms)
                if now_ms >= checkpoint_at:
                    checkpoint_at = now_ms + checkpoint_ms
                    for plan in self._manager.checkpoint_plans(self._broker.replicas.high_watermarks):
                        self.later(plan)
                await self._run_due(now_ms)
                self._manager.release_files(_OPEN_FILES_MAX)
            except Exception:
                # A fault in a chore must not end the chores.
                log.exception("housekeeping failed")

    def _flush(self, now_ms: TimestampMs) -> None:
        for due in self._manager.due_for_flush(now_ms):
            topic, index = due.topic_partition
            self._broker.flusher.request(self._broker.replicas.get(topic, index))
        self._broker.flusher.start()

    def _apply_retention(self, now_ms: TimestampMs) -> None:
        work = self._manager.housekeeping(now_ms, self._broker.replicas.high_watermarks)
        for plan in work.plans:
            self.later(plan)
        for topic_partition, failure in work.failures:
            self._broker.replicas.storage_failed(self._broker.replicas.get(*topic_partition), failure)

    async def _run_due(self, now_ms: TimestampMs) -> None:
        while self._plans and self._plans[0][0] <= now_ms:
            plan = heappop(self._plans)[2]
            try:
                await self._broker.pool.run(plan.run)
            except StorageFailure as failure:
                log.warning("chore failed, the next start will take it up error=%s", failure)
                self._broker.replicas.disk_failed(failure)

"""Compaction as the node does it: which log is next, how many at once, and what becomes of those that fail.

The log with the largest dirty share goes first. When no log is worth a pass, the next look is after
log.cleaner.backoff.ms. A log in which a pass met what it could not read is set aside, with a warning, until it is
opened again; the others go on. A pass itself is cleaning_pass.py, and runs in a process of its own.

While a log is being cleaned, retention leaves it alone, as Kafka's cleaner sees to it for compacted topics.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from logd.cleaning_pass import CleaningPass, PassFailed
from logd.config.cleaner_keys import CleanerConfig, cleaner_config
from protocol.types import TopicPartition
from storage.errors import CorruptLog, StorageFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from logd.broker import Broker
    from logd.replicas import LocalPartition
    from storage.flush import DeletePlan
    from storage.fs import FileSystem
    from storage.log import Log
    from storage.manager import LogManager

log = logging.getLogger("logd.cleaner")

#: A backoff of nothing must not keep the loop busy.
_BACKOFF_S_MIN: Final = 0.05


class LogCleaner:
    """The node's cleaner. `start` begins it, `stop` ends it and every pass under way."""

    def __init__(self, broker: Broker, manager: LogManager, fs: FileSystem) -> None:
        self.uncleanable: dict[TopicPartition, str] = {}
        """Partitions that were set aside, and why."""
        self._broker = broker
        self._manager = manager
        self._fs = fs
        self._set_aside: dict[TopicPartition, Log] = {}
        """The logs that `uncleanable` speaks of: another of the same name is another matter."""
        self._passes: dict[TopicPartition, CleaningPass] = {}
        self._tasks: set[asyncio.Task[bool]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._look_again = asyncio.Event()
        self._stopping = False

    def start(self, later: Callable[[DeletePlan], None]) -> None:
        """`later` is told of files that are to go."""
        self._later = later
        self._ticker = self._broker.loop.create_task(self._run())

    def look(self) -> None:
        """Look for logs to clean now: a setting has changed."""
        self._look_again.set()

    async def stop(self) -> None:
        """End all passes; what they had not finished is lost, and begins anew after the next start."""
        self._stopping = True
        self._look_again.set()
        if self._ticker is not None:
            await self._ticker
        for each in self._passes.values():
            each.end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def config(self) -> CleanerConfig:
        """What is in force now."""
        return cleaner_config(self._broker.config.values)

    async def _run(self) -> None:
        while not self._stopping:
            config = self.config
            self._look_again.clear()
            try:
                self._begin_passes(config)
            except Exception:
                # A fault in one log's figures must not end compaction.
                log.exception("looking for logs to clean failed")
            backoff_s = max(config.backoff_ms / 1000, _BACKOFF_S_MIN)
            timer = self._broker.loop.call_later(backoff_s, self._look_again.set)
            await self._look_again.wait()
            timer.cancel()

    def _begin_passes(self, config: CleanerConfig) -> None:
        """Begin as many passes as may run."""
        free = config.threads - len(self._tasks)
        if config.enable and free > 0:
            for _, partition in sorted(self._candidates(), key=lambda each: each[0], reverse=True)[:free]:
                self._begin(partition, config)

    def _candidates(self) -> list[tuple[float, LocalPartition]]:
        """(dirty share, partition) of every log that is worth a pass."""
        found = []
        for partition in self._broker.replicas:
            compacted = partition.log
            if not compacted.config.compacts or len(compacted.segments) < 2:
                continue
            topic_partition = partition.topic_partition
            if topic_partition in self._passes or self._set_aside.get(topic_partition) is compacted:
                continue
            ratio = self._share(partition)
            if ratio is not None:
                found.append((ratio, partition))
        return found

    def _share(self, partition: LocalPartition) -> float | None:
        from storage.cleaning.dirtiness import look_at  # noqa: PLC0415 - a node without compacted topics

        try:
            dirtiness = look_at(
                partition.log,
                self._manager.cleaned.end_of(partition.topic_partition),
                partition.last_stable_offset,
                self._broker.now_ms(),
            )
        except StorageFailure as failure:
            self._broker.storage_failed(partition, failure)
            return None
        except CorruptLog as error:
            self._put_aside(partition, str(error))
            return None
        return dirtiness.ratio if dirtiness.is_worth_a_pass(partition.log) else None

    def _begin(self, partition: LocalPartition, config: CleanerConfig) -> None:
        cleaning = CleaningPass(self._broker, self._manager, self._fs, partition, config, self._later)
        self._passes[partition.topic_partition] = cleaning
        task = self._broker.loop.create_task(self._pass(cleaning))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        if task.result():
            self._look_again.set()

    async def _pass(self, cleaning: CleaningPass) -> bool:
        """Returns whether the next one may begin at once: a full disk may take a while."""
        partition = cleaning.partition
        try:
            await cleaning.run()
        except StorageFailure as failure:
            self._broker.storage_failed(partition, failure)
            return False
        except (CorruptLog, PassFailed) as error:
            self._put_aside(partition, str(error))
        except Exception as error:
            log.exception("compaction failed")
            self._put_aside(partition, repr(error))
        finally:
            del self._passes[partition.topic_partition]
        return True

    def _put_aside(self, partition: LocalPartition, reason: str) -> None:
        topic, index = partition.topic_partition
        log.warning("not compacted any more topic=%s partition=%d reason=%s", topic, index, reason)
        self.uncleanable[partition.topic_partition] = reason
        self._set_aside[partition.topic_partition] = partition.log

"""Compaction as the node does it: which log is next, how many at once, and what becomes of those that fail.

The log with the largest dirty share goes first. When no log is worth a pass, the next look is after
log.cleaner.backoff.ms. A log in which a pass met what it could not read is set aside, with a warning, until it is
opened again, or somebody asks for it; the others go on. A pass itself is cleaning_pass.py, and runs in a process of its
own. Passes that somebody asked for (asked_passes.py) come before all others. Since a pass takes only what is on disk, a
log that is next but was written a moment ago is flushed first, once: else its end would take another pass.

While a log is being cleaned, retention leaves it alone, as Kafka's cleaner sees to it for compacted topics.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from logd.compaction.asked_passes import AskedPasses
from logd.compaction.cleaning_pass import CleaningPass, PassEnd, PassFailed
from logd.compaction.partition_compaction import PartitionCompaction
from logd.config.cleaner_keys import CleanerConfig, cleaner_config
from protocol.errors import BrokerError, ErrorCode
from protocol.types import TopicPartition
from storage.errors import CorruptLog, StorageFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from logd.node import Node
    from logd.replicas import LocalPartition
    from storage.cleaning.dirtiness import Dirtiness
    from storage.directories.manager import LogManager
    from storage.flush import DeletePlan
    from storage.fs import FileSystem
    from storage.log import Log

log = logging.getLogger("logd.cleaner")

#: A backoff of nothing must not keep the loop busy.
_BACKOFF_S_MIN: Final = 0.05


class LogCleaner:
    """The node's cleaner. `start` begins it, `stop` ends it and every pass under way."""

    def __init__(self, node: Node, manager: LogManager, fs: FileSystem) -> None:
        self.uncleanable: dict[TopicPartition, str] = {}
        """Partitions that were set aside, and why."""
        self._node = node
        self._manager = manager
        self._fs = fs
        self._set_aside: dict[TopicPartition, Log] = {}
        """The logs that `uncleanable` speaks of: another of the same name is another matter."""
        self._passes: dict[TopicPartition, CleaningPass] = {}
        self._asked = AskedPasses()
        self._flushing: set[LocalPartition] = set()
        """Those whose pass waits for a flush, or for the next look if that takes longer."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._look_again = asyncio.Event()
        self._stopping = False

    def start(self, later: Callable[[DeletePlan], None]) -> None:
        """`later` is told of files that are to go."""
        self._later = later
        self._ticker = self._node.loop.create_task(self._run())

    def look(self) -> None:
        """Look for logs to clean now: a setting has changed."""
        self._look_again.set()

    def flushed(self, partition: LocalPartition) -> None:
        """More of the partition is on disk."""
        if self._asked.is_waiting(partition) or partition in self._flushing:
            self._look_again.set()

    def ask(self, partition: LocalPartition) -> int:
        """Have a partition of a compacted topic compacted soon, up to its end; returns a ticket, of which `describe`
        tells in time that it has ended.

        Raises: BrokerError POLICY_VIOLATION where the node does not compact; StorageFailure.
        """
        config = self.config
        if not (config.enable and config.threads):
            name = "log.cleaner.threads=0" if config.enable else "log.cleaner.enable=false"
            raise BrokerError(ErrorCode.POLICY_VIOLATION, f"The broker does not compact: {name}")
        partition.log.roll(self._node.now_ms())
        self._flush(partition)
        self._asked.forget_others(self._manager.logs)
        ticket = self._asked.ask(partition, partition.log.segments[-1].base_offset)
        self._look_again.set()
        return ticket

    def describe(self, partition: LocalPartition) -> PartitionCompaction:
        """Raises: StorageFailure."""
        name = partition.topic_partition
        uncleanable = self.uncleanable.get(name) if self._set_aside.get(name) is partition.log else None
        clean_bytes = dirty_bytes = 0
        try:
            dirtiness = self._look_at(partition)
            clean_bytes, dirty_bytes = dirtiness.clean_bytes, dirtiness.cleanable_bytes
        except CorruptLog as error:
            uncleanable = uncleanable or str(error)
        running = self._passes.get(name)
        return PartitionCompaction(
            self._manager.cleaned.end_of(name),
            clean_bytes,
            dirty_bytes,
            uncleanable,
            self._asked.is_waiting(partition),
            None if running is None else running.progress,
            self._asked.outcome(partition),
        )

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
        return cleaner_config(self._node.config.values)

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
            timer = self._node.loop.call_later(backoff_s, self._look_again.set)
            await self._look_again.wait()
            timer.cancel()

    def _begin_passes(self, config: CleanerConfig) -> None:
        """Begin as many passes as may run."""
        free = config.threads - len(self._tasks)
        if not config.enable or free <= 0:
            return
        asked = [each for each in self._asked.due() if each.topic_partition not in self._passes][:free]
        for partition in asked:
            self._begin(partition, config)
        if free > len(asked):
            candidates = sorted(self._candidates(), key=lambda each: each[0], reverse=True)
            self._flushing.intersection_update(partition for _, partition in candidates)
            for _, partition in candidates[: free - len(asked)]:
                if self._is_on_disk(partition):
                    self._begin(partition, config)

    def _candidates(self) -> list[tuple[float, LocalPartition]]:
        """(dirty share, partition) of every log that is worth a pass."""
        found = []
        for partition in self._node.replicas:
            compacted = partition.log
            if not compacted.config.compacts or len(compacted.segments) < 2:
                continue
            topic_partition = partition.topic_partition
            if (
                topic_partition in self._passes
                or self._set_aside.get(topic_partition) is compacted
                or self._asked.is_waiting(partition)
            ):
                continue
            ratio = self._share(partition)
            if ratio is not None:
                found.append((ratio, partition))
        return found

    def _is_on_disk(self, partition: LocalPartition) -> bool:
        """Whether all but the active segment is; said, too, of what was flushed since it was asked first: more may
        have come behind.
        """
        if partition in self._flushing or partition.log.durable_end == partition.log.segments[-1].base_offset:
            self._flushing.discard(partition)
            return True
        self._flushing.add(partition)
        self._flush(partition)
        return False

    def _flush(self, partition: LocalPartition) -> None:
        self._node.flusher.request(partition)
        self._node.state_changed(partition)  # and with that, flush

    def _look_at(self, partition: LocalPartition) -> Dirtiness:
        from storage.cleaning.dirtiness import look_at  # noqa: PLC0415 - a node without compacted topics

        return look_at(
            partition.log,
            self._manager.cleaned.end_of(partition.topic_partition),
            partition.last_stable_offset,
            self._node.now_ms(),
        )

    def _share(self, partition: LocalPartition) -> float | None:
        try:
            dirtiness = self._look_at(partition)
        except StorageFailure as failure:
            self._node.storage_failed(partition, failure)
            return None
        except CorruptLog as error:
            self._put_aside(partition, str(error))
            return None
        return dirtiness.ratio if dirtiness.is_worth_a_pass(partition.log) else None

    def _begin(self, partition: LocalPartition, config: CleanerConfig) -> None:
        cleaning = CleaningPass(self._node, self._manager, self._fs, partition, config, self._later)
        self._asked.began(partition)
        self._passes[partition.topic_partition] = cleaning
        task = self._node.loop.create_task(self._pass(cleaning))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.result():
            self._look_again.set()

    async def _pass(self, cleaning: CleaningPass) -> bool:
        """Returns whether the next one may begin at once: a full disk may take a while."""
        partition = cleaning.partition
        error: str | None = None
        end = PassEnd.GIVEN_UP
        try:
            end = await cleaning.run()
            if end is PassEnd.GIVEN_UP:
                error = "the log was cut, deleted or closed meanwhile"
            else:
                self._take_back(partition)
        except asyncio.CancelledError:
            error = "the pass was cancelled"
            raise
        except StorageFailure as failure:
            error = str(failure)
            self._node.storage_failed(partition, failure)
            return False
        except (CorruptLog, PassFailed) as problem:
            error = str(problem)
            self._put_aside(partition, error)
        except Exception as problem:
            error = repr(problem)
            log.exception("compaction failed")
            self._put_aside(partition, error)
        finally:
            del self._passes[partition.topic_partition]
            self._asked.ended(partition, error, is_complete=end is PassEnd.COMPLETE)
        return True

    def _take_back(self, partition: LocalPartition) -> None:
        """A pass that was asked for has gone well over a log that was set aside."""
        if self._set_aside.pop(partition.topic_partition, None) is not None:
            del self.uncleanable[partition.topic_partition]
            log.info("compacted again topic=%s partition=%d", *partition.topic_partition)

    def _put_aside(self, partition: LocalPartition, reason: str) -> None:
        topic, index = partition.topic_partition
        log.warning("not compacted any more topic=%s partition=%d reason=%s", topic, index, reason)
        self.uncleanable[partition.topic_partition] = reason
        self._set_aside[partition.topic_partition] = partition.log

"""One pass of compaction over one partition: the job, a worker that does it, and its segments taken into the log.

The order that makes it safe: before the first segment is replaced, the cleaner's checkpoint names the partition, so
that a start knows that offsets may be missing; after the last one, it says up to where the log is clean. A log that is
deleted, truncated or taken offline meanwhile is left as it is.

A small log is cleaned in the pool: it takes a few milliseconds there, and starting a process more than that.
"""

from __future__ import annotations

import logging
from contextlib import aclosing, suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeVar

from logd.to_the_end import to_the_end
from logd.worker_process import Worker, WorkerDied
from storage.errors import CorruptLog, NoSpace, StorageFailure
from storage.fs.real import RealFileSystem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from logd.config.cleaner_keys import CleanerConfig
    from logd.node import Node
    from logd.replicas import LocalPartition
    from protocol.types import Offset, TimestampMs
    from storage.cleaning.cleaner import Cleaner
    from storage.cleaning.job import CleanedGroup, CleaningJob, CleaningResult
    from storage.directories.manager import LogManager
    from storage.flush import DeletePlan
    from storage.fs import FileSystem

T = TypeVar("T")

log = logging.getLogger("logd.cleaner")

#: Logs up to this size are cleaned in the pool.
_POOL_BYTES_MAX: Final = 128 << 10

#: From this rate on a limit means none.
_NO_LIMIT: Final = 1e15


class PassFailed(Exception):
    """The worker could not do what it was asked for."""


class PassEnd(Enum):
    """How a pass that met nothing wrong came out."""

    COMPLETE = auto()
    """All that may be cleaned is clean."""
    MEMORY_FULL = auto()
    """The rest is for another pass."""
    GIVEN_UP = auto()
    """The log, or the node, has gone another way."""


class CleaningPass:
    """Use once: `run`. `end` may be called while it runs. Cancelling `run` waits for the step under way, and for a swap
    that has begun.
    """

    def __init__(
        self,
        node: Node,
        manager: LogManager,
        fs: FileSystem,
        partition: LocalPartition,
        config: CleanerConfig,
        later: Callable[[DeletePlan], None],
    ) -> None:
        """`later` is told of files that are to go."""
        self.partition = partition
        self._node = node
        self._manager = manager
        self._fs = fs
        self._config = config
        self._later = later
        self._log = partition.log
        self._truncations = partition.log.truncations
        self._ended = False
        self._worker: Worker | None = None
        self._job: CleaningJob | None = None
        self._cleaner: Cleaner | None = None
        self._done_bytes = 0

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes done, which never fall, and in all; nothing of nothing before it begins."""
        if self._job is None:
            return 0, 0
        if self._cleaner is not None:
            self._note_progress(self._cleaner.done_bytes)
        return self._done_bytes, self._job.work_bytes

    def end(self) -> None:
        """Stop at the next opportunity, with the log in order."""
        self._ended = True
        if self._worker is not None:
            self._worker.kill()

    async def run(self) -> PassEnd:
        """Clean the log once. Raises: CorruptLog for what cannot be read; StorageFailure; PassFailed."""
        topic_partition = self.partition.topic_partition
        under_way = self._manager.cleaned.under_way
        under_way.add(topic_partition)
        try:
            self._job = self._make_job()
            return await self._run(self._job)
        except (CorruptLog, StorageFailure):
            if self._goes_on:  # else it is about files that are somebody else's business by now
                raise
            return PassEnd.GIVEN_UP
        finally:
            with suppress(StorageFailure):
                await self._discard_unfinished()
            under_way.discard(topic_partition)

    async def _discard_unfinished(self) -> None:
        """A worker that was killed had no time to clear up."""
        from storage.cleaning.cleaned_segment import discard_unfinished  # noqa: PLC0415

        directory = self._log.directory
        await self._step(lambda: discard_unfinished(self._fs, directory))

    @property
    def _goes_on(self) -> bool:
        return not self._ended and self._is_there and self._log.truncations == self._truncations

    @property
    def _is_there(self) -> bool:
        """Whether the files under the log's name are the log's: another may have taken its place."""
        return self._manager.logs.get(self.partition.topic_partition) is self._log

    def _make_job(self) -> CleaningJob:
        from storage.cleaning.dirtiness import job_for, look_at  # noqa: PLC0415 - when first needed

        now_ms = self._node.now_ms()
        cleaned_to = self._manager.cleaned.end_of(self.partition.topic_partition)
        dirtiness = look_at(self._log, cleaned_to, self.partition.last_stable_offset, now_ms)
        return job_for(
            self._log,
            dirtiness,
            now_ms,
            memory_bytes=self._config.memory_bytes,
            load_factor=self._config.load_factor,
        )

    async def _run(self, job: CleaningJob) -> PassEnd:
        from storage.cleaning.job import CleanedGroup  # noqa: PLC0415

        began = self._node.loop.time()
        replaced = 0
        async with aclosing(self._clean(job)) as outcomes:
            async for outcome in outcomes:
                if not self._goes_on:
                    return PassEnd.GIVEN_UP
                if not isinstance(outcome, CleanedGroup):
                    await self._note(outcome.next_dirty_offset)
                    self._say(outcome, replaced, self._node.loop.time() - began)
                    is_full = outcome.next_dirty_offset < job.first_uncleanable_offset
                    return PassEnd.MEMORY_FULL if is_full else PassEnd.COMPLETE
                if self._manager.cleaned.end_of(self.partition.topic_partition) is None:
                    await self._note(job.first_dirty_offset)
                replaced += 1
                await to_the_end(self._take_in(outcome, job.now_ms))
        return PassEnd.GIVEN_UP

    async def _take_in(self, group: CleanedGroup, now_ms: TimestampMs) -> None:
        """Put a new segment in its place. Once begun this goes through, or the log is gone or offline."""
        from storage.cleaning.swap import SegmentSwap  # noqa: PLC0415

        if not self._goes_on:  # since the checkpoint was written
            return
        swap = SegmentSwap(self._fs, self._log, group, now_ms)
        for wait in swap.steps():
            await self._step(wait)
            if not self._is_there:
                return
        self._node.state_changed(self.partition)
        if swap.removal is not None:
            self._later(swap.removal)

    async def _step(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread; who is cancelled is so once it has ended, for what comes then needs its files."""
        return await to_the_end(self._node.pool.run(work))

    async def _note(self, first_dirty_offset: Offset) -> None:
        plan = self._manager.cleaned.note(self.partition.topic_partition, first_dirty_offset)
        await self._step(plan.run)

    def _note_progress(self, done_bytes: int) -> None:
        self._done_bytes = max(self._done_bytes, done_bytes)

    def _clean(self, job: CleaningJob) -> AsyncGenerator[CleanedGroup | CleaningResult, None]:
        is_small = job.size_bytes <= _POOL_BYTES_MAX and self._config.bytes_per_second >= _NO_LIMIT
        if is_small or not isinstance(self._fs, RealFileSystem):
            return self._clean_in_pool(job)
        return self._clean_in_worker(job)

    async def _clean_in_pool(self, job: CleaningJob) -> AsyncGenerator[CleanedGroup | CleaningResult, None]:
        from storage.cleaning.cleaner import Cleaner  # noqa: PLC0415

        cleaner = self._cleaner = Cleaner(self._fs, job)
        groups = cleaner.run()
        try:
            while (group := await self._step(lambda: next(groups, None))) is not None:
                yield group
        finally:
            await self._step(groups.close)
        assert cleaner.result is not None
        yield cleaner.result

    async def _clean_in_worker(self, job: CleaningJob) -> AsyncGenerator[CleanedGroup | CleaningResult, None]:
        from storage.cleaning.job import CleanedGroup, CleaningResult  # noqa: PLC0415

        self._worker = Worker("clean", {**job.to_json(), "bytes_per_second": self._config.bytes_per_second})
        try:
            async with aclosing(self._worker.messages()) as messages:
                async for message in messages:
                    match message:
                        case {"progress": done_bytes}:
                            self._note_progress(done_bytes)
                        case {"group": fields}:
                            yield CleanedGroup(*fields)
                        case {"result": fields}:
                            yield CleaningResult(*fields)
                        case {"corrupt": [path, position, reason]}:
                            raise CorruptLog(path, position, reason)
                        case {"failed": [path, reason, is_fatal]}:
                            raise StorageFailure(path, reason) if is_fatal else NoSpace(path, reason)
        except WorkerDied as error:
            if self._goes_on:
                raise PassFailed(str(error)) from error

    def _say(self, result: CleaningResult, replaced: int, seconds: float) -> None:
        topic, index = self.partition.topic_partition
        log.info(
            "compacted topic=%s partition=%d clean_to=%d bytes_before=%d bytes_after=%d keys=%d segments=%d "
            "seconds=%.1f",
            topic,
            index,
            result.next_dirty_offset,
            result.bytes_before,
            result.bytes_after,
            result.keys,
            replaced,
            seconds,
        )

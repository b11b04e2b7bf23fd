"""The metadata store of a single node: Kafka's metadata records in a log of its own, `__cluster_metadata-0`.

A command's way: decided against the image → its records appended as one batch → synced in the pool → replayed into
the image → watchers act → the submitter resumes. While a sync runs, further commands queue; the next sync serves them
all. Commands that touch the same thing are never decided side by side.

    log        LEADER_CHANGE | batch | batch | LEADER_CHANGE | batch …     a new epoch, one more, at each start
    image      replayed up to here ─────────┘ ← synced      └─ appended, not yet anyone's to see

Invariants: the image shows nothing that a power failure could take back; a batch is appended only when everything
before it in the log is durable or belongs to the same sync; after a failed sync nothing is written any more.

A snapshot is taken when the log has grown by a bound since the last; the log in front of it then goes.
Source: KIP-500, KIP-595, KIP-630 in Kafka's on-disk form.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logd.metadata.batches import metadata_batch
from logd.metadata.files import write_recovery_point
from logd.metadata.recovery import RecoveredMetadata
from logd.metadata.snapshot import SnapshotId, snapshot_batches, snapshots_in
from protocol.errors import BrokerError, ErrorCode
from replication.metadata_commands import RegisterBroker
from replication.metadata_image import MetadataDelta
from storage.errors import StorageFailure
from storage.log import AppendOrigin

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from protocol.types import Offset, TimestampMs
    from replication.broker_registration import BrokerRegistration
    from replication.controller import Controller
    from replication.metadata_commands import Command
    from replication.metadata_image import MetadataImage
    from replication.metadata_ports import DeltaWatcher, Entropy
    from storage.flush import FlushPlan
    from storage.fs import FileSystem

log = logging.getLogger("logd.metadata")

_CHECKPOINT_INTERVAL_MS: Final = 60_000
"""Damage below the checkpoint is known for rot, damage above may be taken for the tail of a power failure."""


class Shell(NamedTuple):
    """What the store needs of the process around it."""

    run_blocking: Callable[[Callable[[], Any]], Awaitable[Any]]
    """Runs a function in the pool."""
    now_ms: Callable[[], TimestampMs]
    entropy: Entropy
    on_failure: Callable[[Exception], None]
    """Told once, when the log can be written no more: StorageFailure, or a bug."""


class _Submission(NamedTuple):
    command: Command
    reply: asyncio.Future[Any]


class _Appended(NamedTuple):
    """A decision in the log, not yet durable."""

    first_offset: Offset
    records: Sequence[Message]
    reply: object
    future: asyncio.Future[Any]


class MetadataLog:
    """A MetadataStore over a local log; see `logd.metadata.recovery` for how to open one."""

    def __init__(
        self,
        fs: FileSystem,
        recovered: RecoveredMetadata,
        controller: Controller,
        shell: Shell,
        *,
        snapshot_after_bytes: int,
    ) -> None:
        """Take over a recovered log; `controller` decides on its image. A log of `snapshot_after_bytes` makes a
        snapshot due.
        """
        self.image = recovered.image
        self.epoch = recovered.epoch
        self._fs = fs
        self._log = recovered.log
        self._unsynced_parent = recovered.unsynced_parent
        self._controller = controller
        self._shell = shell
        self._watchers: list[DeltaWatcher] = []
        self._queue: deque[_Submission] = deque()
        self._writer: asyncio.Task[None] | None = None
        """Runs while there are commands."""
        self._failure: Exception | None = None
        self._snapshot_after_bytes = snapshot_after_bytes
        self._snapshot_at_bytes = snapshot_after_bytes
        """Size of the log at which the next snapshot is due."""
        self._snapshot: asyncio.Task[None] | None = None
        self._checkpointed_ms = shell.now_ms()

    def watch(self, watcher: DeltaWatcher) -> None:
        """Have `watcher` told of every later change, in the order of the log."""
        self._watchers.append(watcher)

    def register_broker(self, registration: BrokerRegistration) -> BrokerRegistration:
        """Register this node, before it serves anybody, without waiting for the disk.

        The record becomes durable with the first command. Should it get lost before, nothing hangs on it: the next
        start registers anew. Returns the registration in force. Raises: BrokerError, StorageFailure.
        """
        next_offset = self._log.log_end_offset
        decision = self._controller.decide(RegisterBroker(registration), next_offset, self._shell.entropy)
        now_ms = self._shell.now_ms()
        batch = metadata_batch(decision.records, timestamp_ms=now_ms)
        self._log.append(batch, leader_epoch=self.epoch, now_ms=now_ms, origin=AppendOrigin.RAFT_LEADER)
        delta = MetadataDelta()
        for offset, record in enumerate(decision.records, next_offset):
            self.image.replay(offset, record, delta)
        return self.image.brokers[registration.node_id]

    def settle(self) -> None:
        """Make durable in the background what the start wrote, which the first command would wait for otherwise."""
        if self._writer is None:
            self._writer = asyncio.ensure_future(self._write(sync_first=True))

    async def submit(self, command: Command) -> Any:
        """See `replication.metadata_ports.MetadataStore.submit`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Submission(command, future))
        if self._writer is None:
            self._writer = asyncio.ensure_future(self._write())
        try:
            return await future
        finally:
            del future  # a refusal in it would keep, by its traceback, this frame, and that the refusal

    async def close(self) -> None:
        """Finish the commands under way, make the log durable and let go of its files. Raises: StorageFailure."""
        while self._writer is not None:
            await self._writer
        if self._snapshot is not None:
            await self._snapshot
        if self._failure is not None:
            self._log.release()
            return
        plan = self._log.prepare_close()
        await self._shell.run_blocking(self._durably(plan, checkpoint=True))
        self._log.flushed(plan)
        self._log.release()

    # -- the writer --------------------------------------------------------------------------------------

    async def _write(self, *, sync_first: bool = False) -> None:
        """Work the queue off, one group of commands per sync."""
        group: list[_Appended] = []
        try:
            if sync_first:
                await self._sync(group)
            while self._queue:
                group = self._append_group()
                if group and await self._sync(group):
                    await self._publish(group)
                    self._maybe_snapshot()
        except Exception as bug:  # image and log may differ now: stop here rather than build on it
            log.exception("metadata log stopped")
            self._give_up(bug)
            for appended in group:
                _fail(appended.future, _storage_error())
            while self._queue:
                _fail(self._queue.popleft().reply, _storage_error())
        finally:
            self._writer = None

    def _append_group(self) -> list[_Appended]:
        """Decide and append what stands at the head of the queue, up to a command that has to wait for the image.

        Commands that are refused, or need no record, are answered here.
        """
        group: list[_Appended] = []
        touched: set[str] = set()
        while self._queue:
            command, future = self._queue[0]
            try:
                next_offset = self._log.log_end_offset
                decision = self._controller.decide(command, next_offset, self._shell.entropy)
                if not touched.isdisjoint(decision.touches):
                    break
                if decision.records:
                    self._append(decision.records)
                    group.append(_Appended(next_offset, decision.records, decision.reply, future))
                    touched |= decision.touches
                else:
                    _resolve(future, decision.reply)
            except Exception as error:  # of this command alone; the others go on
                _fail(future, error)
            self._queue.popleft()
        return group

    def _append(self, records: Sequence[Message]) -> None:
        """Raises: BrokerError KAFKA_STORAGE_ERROR, with nothing appended."""
        if self._failure is not None:
            raise _storage_error()
        now_ms = self._shell.now_ms()
        batch = metadata_batch(records, timestamp_ms=now_ms)
        try:
            self._log.append(batch, leader_epoch=self.epoch, now_ms=now_ms, origin=AppendOrigin.RAFT_LEADER)
        except StorageFailure as failure:
            if failure.fatal:
                self._give_up(failure)
            else:
                log.warning("metadata not written error=%s", failure)
            raise _storage_error(failure.message) from failure

    async def _sync(self, group: Sequence[_Appended]) -> bool:
        """Make all that was appended durable; whether that went well. If not, nobody learns of the group."""
        try:
            plan = self._log.flush_plan()
            await self._shell.run_blocking(self._durably(plan))
        except StorageFailure as failure:
            self._give_up(failure)
            for appended in group:
                _fail(appended.future, _storage_error())
            return False
        self._log.flushed(plan)
        self._unsynced_parent = None
        return True

    def _durably(self, plan: FlushPlan, *, checkpoint: bool = False) -> Callable[[], None]:
        """Return work for the pool: perform the plan and, now and then, put down what is durable after it."""
        fs, directory, parent = self._fs, self._log.directory, self._unsynced_parent
        now_ms = self._shell.now_ms()
        if checkpoint or now_ms - self._checkpointed_ms >= _CHECKPOINT_INTERVAL_MS:
            self._checkpointed_ms = now_ms
            checkpoint = True

        def run() -> None:
            plan.run()
            if parent is not None:
                fs.sync_dir(parent)
            if checkpoint:
                write_recovery_point(fs, directory, plan.up_to)

        return run

    async def _publish(self, group: Sequence[_Appended]) -> None:
        """Take a durable group into the image, have watchers act, and let its submitters go on."""
        delta = MetadataDelta()
        for appended in group:
            for offset, record in enumerate(appended.records, appended.first_offset):
                self.image.replay(offset, record, delta)
        for watcher in self._watchers:
            try:
                action = watcher(delta)
                if action is not None:
                    await action
            except Exception:
                log.exception("a watcher of the metadata failed offset=%d", self.image.offset)
        for appended in group:
            _resolve(appended.future, appended.reply)

    def _give_up(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
            log.error("metadata log failed, no more changes are possible error=%s", failure)
            self._shell.on_failure(failure)

    # -- snapshots ---------------------------------------------------------------------------------------

    def _maybe_snapshot(self) -> None:
        """Start a snapshot of what was just published, when the log has grown enough."""
        size = self._log.size_bytes
        if self._snapshot is not None or self._failure is not None or size < self._snapshot_at_bytes:
            return
        self._snapshot_at_bytes = size + self._snapshot_after_bytes  # should this one fail
        snapshot = SnapshotId(self._log.recovery_point, self.epoch)
        try:
            self._log.roll(self._shell.now_ms())  # so that the snapshot stands in for whole segments
        except StorageFailure as failure:
            self._snapshot_failed(failure)
        else:
            self._snapshot = asyncio.ensure_future(self._take_snapshot(snapshot, self.image.copy()))

    async def _take_snapshot(self, snapshot: SnapshotId, image: MetadataImage) -> None:
        try:
            await self._write_snapshot(snapshot, image)
        except StorageFailure as failure:
            self._snapshot_failed(failure)
        finally:
            self._snapshot = None

    def _snapshot_failed(self, failure: StorageFailure) -> None:
        """Nothing is lost: the log has it all, and only stays longer than it should."""
        log.warning("metadata snapshot failed error=%s", failure)
        if failure.fatal:
            self._give_up(failure)

    async def _write_snapshot(self, snapshot: SnapshotId, image: MetadataImage) -> None:
        """Write the image, piece by piece so that the loop goes on, then drop the log in front of it."""
        now_ms, directory = self._shell.now_ms(), self._log.directory
        pieces = []
        for piece in snapshot_batches(
            image.records(), epoch=snapshot.epoch, now_ms=now_ms, last_timestamp=now_ms
        ):
            pieces.append(piece)
            await asyncio.sleep(0)
        path = f"{directory}/{snapshot.file_name}"
        await self._shell.run_blocking(lambda: self._fs.write_atomic(path, b"".join(pieces)))
        log.info("metadata snapshot written end_offset=%d epoch=%d", *snapshot)
        self._log.advance_log_start_offset(snapshot.end_offset)
        deletion = self._log.delete_old_segments(now_ms, snapshot.end_offset)
        self._snapshot_at_bytes = self._snapshot_after_bytes
        if deletion is not None:
            await self._shell.run_blocking(deletion.run)
        for older in snapshots_in(self._fs, directory):
            if older < snapshot:
                self._fs.remove(f"{directory}/{older.file_name}")


def _storage_error(reason: str = "it failed before") -> BrokerError:
    return BrokerError(ErrorCode.KAFKA_STORAGE_ERROR, f"the metadata log cannot be written: {reason}")


def _resolve(future: asyncio.Future[Any], reply: object) -> None:
    if not future.done():  # the submitter may have gone away
        future.set_result(reply)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if isinstance(error, BrokerError):
        error.__traceback__ = None  # it holds the frame that holds the future that holds the error
    if not future.done():
        future.set_exception(error)

"""What one partition remembers of its idempotent and transactional producers.

It answers three questions: is this batch a retry of one already written, or out of order, or from a fenced
producer (`check`); which transactions are open, and where does the oldest undecided record lie
(`first_unstable_offset`); and what must a restart know of all this (`take_snapshot`, `reload`). It does not read
the log: whoever replays it calls `update` and `update_marker` for each batch, as a live append does.

Per producer id: the newest epoch, the last five batches of that epoch, the next sequence, the epoch of the last
transaction coordinator heard, and the first offset of the open transaction. `check` changes nothing, so that the
log updates only after its write succeeded.

Life of a transaction here: *open* from its first batch until its marker; then *unreplicated* until the high
watermark passes the marker. `first_unstable_offset` is the smallest first offset over both kinds: nothing at or
above it may be served to a read_committed consumer.

Sequences run from 0 to 2^31-1 and wrap to 0; batches that come from a coordinator have none (-1).
Sources: KIP-98, KIP-360, KIP-890; apache/kafka storage/…/log/{ProducerStateManager,ProducerAppendInfo}.java.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from protocol.errors import BrokerError, ErrorCode
from protocol.types import Offset, ProducerEpoch, ProducerId, TimestampMs
from storage import producer_snapshot
from storage.errors import StorageFailure
from storage.fs import OpenMode
from storage.producer import BATCHES_RETAINED, SEQUENCE_MASK, BatchMetadata, ProducerState
from storage.producer_refusals import fenced, not_transactional, not_verified, out_of_order
from storage.producer_snapshot import SnapshotEntry
from storage.txn_index import AbortedTxn
from storage.verification import Verification, Verifications

if TYPE_CHECKING:
    from storage.fs import FileSystem

_NONE = -1

#: Where epochs end. Buggy clients begin transactions in it (KAFKA-19999), and they must be ended, too.
_EPOCH_MAX = 0x7FFF


class ProducerStateManager:
    """Producer state of one partition, in memory, with its snapshot files."""

    def __init__(
        self,
        fs: FileSystem,
        directory: str,
        *,
        expiration_ms: int = 86_400_000,
        demands_verification: bool = False,
        file_names: Iterable[str] = (),
    ) -> None:
        """Start empty; `file_names` is the listing of `directory`, from which the snapshots are known.

        `expiration_ms` is producer.id.expiration.ms, `demands_verification` transaction.partition.verification.enable.
        Call `reload` to take up the newest snapshot.
        """
        self._fs = fs
        self.directory = directory
        self.expiration_ms = expiration_ms
        self.demands_verification = demands_verification
        self.verifications = Verifications()
        self.producers: dict[ProducerId, ProducerState] = {}
        self.first_unstable_offset: Offset | None = None
        """First offset of the oldest transaction that is open or unreplicated; None when there is none."""
        self.snapshot_offsets: list[Offset] = sorted(
            offset for name in file_names if (offset := producer_snapshot.end_offset_of(name)) is not None
        )
        self._open_txns: dict[Offset, ProducerId] = {}
        """First offset → producer, in ascending order of offset: transactions begin in log order."""
        self.unreplicated: deque[tuple[Offset, Offset]] = deque()
        """(marker offset, first offset) of each decided transaction not yet below the high watermark, in log
        order. Read it to learn whether `on_high_watermark` has anything to do."""

    # -- validation: nothing below changes state ---------------------------------------------------------

    def check(
        self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: int,
        last_sequence: int,
        is_transactional: bool,
    ) -> BatchMetadata | None:
        """Validate a client's data batch; return the batch that it repeats, None when it is new.

        A repeated batch is answered with the offsets returned and must not be written.
        Raises: BrokerError INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_TXN_STATE.
        """
        producer = self.producers.get(producer_id)
        if producer is None:
            # Unknown, expired, or its records are deleted: any start is accepted.
            if is_transactional:
                self._check_first_of_transaction(producer_id, epoch, base_sequence)
            return None
        if epoch == producer.epoch:
            is_open = producer.txn_first_offset >= 0
            if base_sequence != producer.next_sequence:
                duplicate = producer.batch_with(base_sequence, last_sequence)
                if duplicate is not None:
                    return duplicate
                if is_transactional and not is_open:
                    self._check_first_of_transaction(producer_id, epoch, base_sequence)
                raise out_of_order(producer_id, epoch, base_sequence, producer.next_sequence)
            if is_open is not is_transactional:
                if is_open:
                    raise not_transactional(producer_id, producer.txn_first_offset)
                self._check_first_of_transaction(producer_id, epoch, base_sequence)
            return None
        if epoch < producer.epoch:
            raise fenced(producer_id, epoch, producer.epoch)
        if is_transactional:
            self._check_first_of_transaction(producer_id, epoch, base_sequence)
        if base_sequence != 0:
            raise out_of_order(producer_id, epoch, base_sequence, 0)
        if producer.txn_first_offset >= 0 and not is_transactional:
            raise not_transactional(producer_id, producer.txn_first_offset)
        return None

    def _check_first_of_transaction(
        self, producer_id: ProducerId, epoch: ProducerEpoch, base_sequence: int
    ) -> None:
        """Validate a batch that would begin a transaction here: its coordinator must have vouched for it."""
        self._check_verified(producer_id, epoch)
        verification = self.verifications.get(producer_id)
        if verification is None:
            return
        if base_sequence > verification.lowest_sequence:
            raise out_of_order(producer_id, epoch, base_sequence, verification.lowest_sequence)
        # An epoch begins with each transaction, so there any other start of an unknown producer means a lost batch.
        if verification.bumps_epoch and base_sequence != 0 and producer_id not in self.producers:
            raise out_of_order(producer_id, epoch, base_sequence, 0)

    def _check_verified(self, producer_id: ProducerId, epoch: ProducerEpoch) -> None:
        verification = self.verifications.get(producer_id)
        if self.demands_verification and (verification is None or verification.confirmed_epoch != epoch):
            raise not_verified(producer_id, epoch)

    def check_coordinator(
        self, producer_id: ProducerId, epoch: ProducerEpoch, is_transactional: bool
    ) -> None:
        """Validate a data batch that a coordinator writes for a producer: it carries no sequences.

        Raises: BrokerError INVALID_PRODUCER_EPOCH or INVALID_TXN_STATE.
        """
        producer = self.producers.get(producer_id)
        if producer is not None:
            if epoch < producer.epoch:
                raise fenced(producer_id, epoch, producer.epoch)
            if producer.txn_first_offset >= 0 and not is_transactional:
                raise not_transactional(producer_id, producer.txn_first_offset)
        if is_transactional and not self.has_open_transaction(producer_id, epoch):
            self._check_verified(producer_id, epoch)

    def check_marker(
        self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        coordinator_epoch: int,
        transaction_version: int,
    ) -> None:
        """Validate a commit or abort marker before it is written.

        Under transaction version 2 the coordinator bumps the epoch for the marker, so an equal one is stale;
        except that it repeats a marker already written when no transaction is open, and may be written again, and that
        there is no epoch above the largest.
        Raises: BrokerError INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED.
        """
        producer = self.producers.get(producer_id)
        if producer is None:
            return
        stale = epoch < producer.epoch or (
            epoch == producer.epoch != _EPOCH_MAX
            and transaction_version >= 2
            and producer.txn_first_offset >= 0
        )
        if stale:
            raise fenced(producer_id, epoch, producer.epoch)
        if coordinator_epoch < producer.coordinator_epoch:
            raise BrokerError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"producer {producer_id}: coordinator epoch {coordinator_epoch} is older than "
                f"{producer.coordinator_epoch}",
            )

    # -- transactions that begin -----------------------------------------------------------------------

    def has_open_transaction(self, producer_id: ProducerId, epoch: ProducerEpoch) -> bool:
        """Whether a transaction of this epoch is open here: then the next batch needs nobody's word."""
        producer = self.producers.get(producer_id)
        return producer is not None and producer.txn_first_offset >= 0 and producer.epoch == epoch

    def start_verification(
        self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: int,
        *,
        bumps_epoch: bool,
        now_ms: TimestampMs,
    ) -> Verification | None:
        """Return what to keep while the coordinator is asked about a batch; None when the transaction is open here.

        `bumps_epoch` is transaction version 2. Raises: BrokerError INVALID_PRODUCER_EPOCH.
        """
        producer = self.producers.get(producer_id)
        if producer is not None and epoch < producer.epoch:
            raise fenced(producer_id, epoch, producer.epoch)
        if self.has_open_transaction(producer_id, epoch):
            return None
        return self.verifications.start(
            producer_id, epoch, base_sequence, bumps_epoch=bumps_epoch, now_ms=now_ms
        )

    def admit(self, producer_id: ProducerId, epoch: ProducerEpoch, verification: Verification) -> None:
        """The coordinator vouched for the transaction for which `verification` was started: let its batch come.

        Raises: BrokerError INVALID_PRODUCER_EPOCH or INVALID_TXN_STATE when it has ended here meanwhile.
        """
        producer = self.producers.get(producer_id)
        if self.has_open_transaction(producer_id, epoch):
            assert producer is not None
            if verification.began_at == producer.txn_first_offset:
                return  # another request was faster
        elif self.verifications.confirm(producer_id, epoch, verification):
            return
        if not self.demands_verification:
            return
        if producer is not None and epoch < producer.epoch:
            raise fenced(producer_id, epoch, producer.epoch)
        raise not_verified(producer_id, epoch)

    # -- what was written ----------------------------------------------------------------------------

    def update(
        self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        base_sequence: int,
        last_sequence: int,
        first_offset: Offset,
        last_offset: Offset,
        timestamp_ms: TimestampMs,
        is_transactional: bool,
    ) -> None:
        """Take note of a data batch now in the log, whoever wrote it; both ends inclusive."""
        producer = self.producers.get(producer_id)
        if producer is None:
            producer = self.producers[producer_id] = ProducerState(epoch)
        elif epoch != producer.epoch:
            producer.epoch = epoch
            producer.batches.clear()
            if is_transactional and producer.txn_first_offset >= 0:
                self.verifications.note_batch(producer_id, producer.txn_first_offset)
        batches = producer.batches
        if len(batches) == BATCHES_RETAINED:
            del batches[0]
        batches.append((base_sequence, last_sequence, first_offset, last_offset, timestamp_ms))
        producer.next_sequence = (last_sequence + 1) & SEQUENCE_MASK
        producer.last_timestamp_ms = timestamp_ms
        if is_transactional and producer.txn_first_offset < 0:
            self.verifications.note_batch(producer_id, first_offset)
            producer.txn_first_offset = first_offset
            self._open_txns[first_offset] = producer_id
            if self.first_unstable_offset is None:
                self.first_unstable_offset = first_offset

    def update_marker(
        self,
        producer_id: ProducerId,
        epoch: ProducerEpoch,
        coordinator_epoch: int,
        offset: Offset,
        timestamp_ms: TimestampMs,
        *,
        committed: bool,
    ) -> AbortedTxn | None:
        """Take note of a marker now in the log at `offset`: it decides the producer's open transaction.

        Returns what the segment's transaction index must record: an aborted transaction that wrote something
        here, else None. `first_unstable_offset` moves on only in `on_high_watermark`.
        """
        self.verifications.note_marker(producer_id, epoch)
        producer = self.producers.get(producer_id)
        if producer is None:
            producer = self.producers[producer_id] = ProducerState(epoch)
        elif epoch != producer.epoch:
            producer.epoch = epoch
            producer.batches.clear()
            producer.next_sequence = 0
        producer.coordinator_epoch = coordinator_epoch
        producer.last_timestamp_ms = timestamp_ms
        first_offset = producer.txn_first_offset
        if first_offset < 0:
            return None
        producer.txn_first_offset = _NONE
        del self._open_txns[first_offset]
        self.unreplicated.append((offset, first_offset))
        if committed:
            return None
        return AbortedTxn(producer_id, first_offset, offset, next(iter(self._open_txns), offset + 1))

    def on_high_watermark(self, high_watermark: Offset) -> None:
        """Release the decided transactions whose marker lies below `high_watermark` (exclusive)."""
        unreplicated = self.unreplicated
        if unreplicated and unreplicated[0][0] < high_watermark:
            while unreplicated and unreplicated[0][0] < high_watermark:
                unreplicated.popleft()
            self._find_first_unstable()

    def remove_expired(self, now_ms: TimestampMs) -> int:
        """Forget producers idle for `expiration_ms` or longer that have no open transaction; return how many."""
        horizon = now_ms - self.expiration_ms
        expired = [
            producer_id
            for producer_id, producer in self.producers.items()
            if producer.last_timestamp_ms <= horizon and producer.txn_first_offset < 0
        ]
        for producer_id in expired:
            del self.producers[producer_id]
        self.verifications.remove_started_before(horizon)
        return len(expired)

    # -- snapshots -----------------------------------------------------------------------------------

    def take_snapshot(self, log_end_offset: Offset) -> str | None:
        """Write what is known at `log_end_offset`; return the path, None when the newest is not older.

        The file is written but not synced (a torn one fails its checksum and counts for nothing). Whoever
        moves the recovery point past `log_end_offset` syncs it first.
        Raises: StorageFailure.
        """
        if self.snapshot_offsets and self.snapshot_offsets[-1] >= log_end_offset:
            return None
        path = self._path(log_end_offset)
        file = self._fs.open(path, OpenMode.CREATE)
        try:
            file.append(producer_snapshot.encode(self.entries()))
        except StorageFailure:
            with suppress(StorageFailure):  # an empty one would count for nothing, but stay
                self._fs.remove(path)
            raise
        finally:
            file.close()
        self.snapshot_offsets.append(log_end_offset)
        return path

    def reload(self, log_end_offset: Offset, now_ms: TimestampMs) -> Offset | None:
        """Replace the state with what `load` finds for a log that ends at `log_end_offset`; return what that does.

        Assumes that no decided transaction at or above the high watermark is lost with it: a log is cut back
        to the high watermark at most, or replayed.
        Raises: StorageFailure.
        """
        self.remove_snapshots_above(log_end_offset)
        return self.load(log_end_offset, now_ms)

    def load(self, end_offset: Offset, now_ms: TimestampMs) -> Offset | None:
        """Replace the state with that of the newest sound snapshot at or below `end_offset`; delete damaged ones.

        Returns the offset from which the log must be replayed to complete the state; None when there is no
        snapshot, the state is empty and all of the log is needed. Raises: StorageFailure.
        """
        self.forget()
        for offset in reversed(self.snapshot_offsets[: bisect_right(self.snapshot_offsets, end_offset)]):
            entries = self._read(offset)
            if entries is not None:
                self.restore(entries)
                self.remove_expired(now_ms)
                return offset
        return None

    def correct(self, end_offset: Offset, now_ms: TimestampMs) -> bool:
        """Have the snapshot taken at `end_offset` correct what was replayed up to there: compaction may have left no
        batch that tells how a transaction ended, or of an epoch. Returns whether there is one, and sound.

        Raises: StorageFailure.
        """
        entries = self._read(end_offset) if end_offset in self.snapshot_offsets else None
        if entries is None:
            return False
        replayed = dict(self.producers)
        self.producers.clear()
        self._open_txns.clear()
        self.restore(entries)
        for entry in entries:
            producer = replayed.get(entry.producer_id)
            if producer is not None and producer.to_snapshot(entry.producer_id) == entry:
                self.producers[entry.producer_id] = producer  # it still knows the batches before the last
        self.remove_expired(now_ms)
        return True

    def remove_snapshots_above(self, log_end_offset: Offset) -> None:
        """Delete the snapshots of what the log does not hold any more, durably: a crash must not bring one back
        once the log holds something else there. Raises: StorageFailure.
        """
        kept = bisect_right(self.snapshot_offsets, log_end_offset)
        if kept == len(self.snapshot_offsets):
            return
        for offset in self.snapshot_offsets[kept:]:
            self._fs.remove(self._path(offset))
        self._fs.sync_dir(self.directory)
        del self.snapshot_offsets[kept:]

    def reset(self) -> None:
        """Forget everything and delete every snapshot: the log starts anew. Raises: StorageFailure."""
        self.forget()
        for offset in self.snapshot_offsets:
            self._fs.remove(self._path(offset))
        self.snapshot_offsets.clear()

    def detach_snapshot(self, end_offset: Offset) -> str | None:
        """Hand over the snapshot of a segment that is being deleted: it is no longer known here.

        Returns its path, which the caller renames or removes; None when there is no such snapshot.
        """
        index = bisect_left(self.snapshot_offsets, end_offset)
        if index == len(self.snapshot_offsets) or self.snapshot_offsets[index] != end_offset:
            return None
        del self.snapshot_offsets[index]
        return self._path(end_offset)

    def remove_stray_snapshots(self, base_offsets: Collection[Offset]) -> None:
        """Delete snapshots that begin no segment, but none above every segment: a clean stop left one there, and
        which of several that was only their checksums tell.

        Raises: StorageFailure.
        """
        newest_base = max(base_offsets, default=_NONE)
        kept: list[Offset] = []
        for offset in self.snapshot_offsets:
            if offset in base_offsets or offset > newest_base:
                kept.append(offset)
            else:
                self._fs.remove(self._path(offset))
        self.snapshot_offsets = kept

    def entries(self) -> list[SnapshotEntry]:
        """Return what a snapshot keeps of each producer."""
        return [producer.to_snapshot(producer_id) for producer_id, producer in self.producers.items()]

    def restore(self, entries: Iterable[SnapshotEntry]) -> None:
        """Fill the empty state from the entries of a snapshot."""
        for entry in entries:
            self.producers[entry.producer_id] = ProducerState.from_snapshot(entry)
        self._open_txns.update(
            sorted((p.txn_first_offset, id_) for id_, p in self.producers.items() if p.txn_first_offset >= 0)
        )
        self._find_first_unstable()

    # -- helpers ---------------------------------------------------------------------------------------

    def _path(self, end_offset: Offset) -> str:
        return f"{self.directory}/{producer_snapshot.file_name(end_offset)}"

    def forget(self) -> None:
        """Know nothing of any producer; what is on disk stays."""
        self.producers.clear()
        self._open_txns.clear()
        self.unreplicated.clear()
        self.first_unstable_offset = None

    def _find_first_unstable(self) -> None:
        first = next(iter(self._open_txns), None)
        if self.unreplicated:
            oldest = min(first_offset for _, first_offset in self.unreplicated)
            first = oldest if first is None else min(first, oldest)
        self.first_unstable_offset = first

    def _read(self, end_offset: Offset) -> list[SnapshotEntry] | None:
        """The entries of a snapshot; None, with its file deleted, when it is damaged."""
        path = self._path(end_offset)
        try:
            return producer_snapshot.decode(self._fs.read_file(path))
        except producer_snapshot.CorruptSnapshot:
            self._fs.remove(path)
            self.snapshot_offsets.remove(end_offset)
            return None

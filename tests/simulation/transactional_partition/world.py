"""A partition with its log, producers, their coordinator and a reader; each step is one thing that happens to them.

Producers keep to the protocol, and their requests may be late: a question is asked in one step and answered in another,
with anything between. Odd producers work by transaction version 1, even ones by version 2. Markers may be written more
than once, as coordinators do that got no answer. The partition may be cut back to the high watermark, lose its segments
to retention, and be opened again, cleanly or not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from protocol.control_records import end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.fetched import readable_batches
from protocol.types import Offset, ProducerEpoch, ProducerId
from replication.partition import ACKS_ALL, READ_COMMITTED, Partition
from storage.config import LogConfig
from storage.fs.memory import MemoryFileSystem
from storage.log import AppendOrigin, Log
from storage.verification import Verification
from tests.simulation.transactional_partition.model import PLAIN, Batch, History, Marker
from tests.support.logs import NOW_MS, make_batch, open_log, read, read_bytes

PRODUCERS = (1, 2, 4)
ME, FOLLOWER = 1, 2
CONSUMER = -1
LATE = {ErrorCode.INVALID_TXN_STATE, ErrorCode.INVALID_PRODUCER_EPOCH}

CONFIG = LogConfig(
    segment_bytes=500, index_interval_bytes=150, retention_ms=-1, retention_bytes=1500, file_delete_delay_ms=0
)

Step = tuple[Any, ...]


@dataclass
class Question:
    """A batch that waits for the coordinator's word."""

    verification: Verification
    transaction: int
    epoch: ProducerEpoch
    sequence: int
    count: int


@dataclass
class Producer:
    """A transactional producer, and what its coordinator knows of its transaction on the partition."""

    producer_id: ProducerId
    epoch: ProducerEpoch = 0
    transaction: int = 0
    """Number of the current one."""
    is_under_way: bool = False
    outcome: bool | None = None
    """How it is being ended; None before."""
    questions: list[Question] = field(default_factory=list)
    skew: int = 0
    """What the partition expects as next sequence beyond what was written: less, where it lost records."""
    is_lost: bool = False
    """The partition lost the transaction that is open, with its records."""

    @property
    def bumps(self) -> bool:
        return self.producer_id % 2 == 0

    @property
    def marker_epoch(self) -> ProducerEpoch:
        return self.epoch + 1 if self.bumps else self.epoch


class World:
    """Call `step` with what happens."""

    def __init__(self) -> None:
        self.fs = MemoryFileSystem()
        self.history = History()
        self.producers = {producer_id: Producer(producer_id) for producer_id in PRODUCERS}
        self.decided_below: tuple[Offset, Offset] = (0, 0)
        """What the producer state was loaded from, at least and at most: a snapshot holds no decided transactions,
        replicated or not."""
        self.may_know_less = False
        """Records were deleted and the log opened again: what they began may look as if it began later."""
        self.leader_epoch = 0
        self.seen: Counter[str] = Counter()
        """What came about."""
        self._stable: Offset = 0
        self._committed: Offset = 0
        """The largest high watermark so far: no leader takes back what is below."""
        self.partition: Partition[Log]
        self._open(clean=True, high_watermark=0, recovery_point=0)

    @property
    def log(self) -> Log:
        return self.partition.log

    def step(self, step: Step) -> None:
        getattr(self, step[0])(*step[1:])
        self.check()

    # -- producers ---------------------------------------------------------------------------------------

    def plain(self, count: int) -> None:
        self._append(make_batch(count))
        end = self.history.end
        self.history.entries.append(Batch(PLAIN, -1, -1, end, end + count - 1))

    def ask(self, producer_id: ProducerId, count: int) -> None:
        """The producer sends its next batch: written at once, or a question."""
        producer = self.producers[producer_id]
        if producer.outcome is not None or len(producer.questions) == 3:
            return
        if not producer.is_under_way:
            producer.is_under_way = True
            producer.transaction += 1
        sequence = self._next_sequence(producer) + sum(
            question.count for question in producer.questions if question.transaction == producer.transaction
        )
        verification = self.log.producers.start_verification(
            producer_id, producer.epoch, sequence, bumps_epoch=producer.bumps, now_ms=NOW_MS
        )
        assert (verification is None) == self._is_open(producer)
        if verification is None:
            if sequence == self._next_sequence(producer):
                self._write(producer, producer.epoch, sequence, count)
            return
        producer.questions.append(
            Question(verification, producer.transaction, producer.epoch, sequence, count)
        )

    def answer(self, producer_id: ProducerId, number: int) -> None:
        """The coordinator's word, given when it was asked, arrives at last."""
        producer = self.producers[producer_id]
        if not producer.questions:
            return
        question = producer.questions.pop(number % len(producer.questions))
        holds = (
            question.transaction == producer.transaction
            and producer.is_under_way
            and producer.outcome is None
        )
        in_order = question.sequence == self._next_sequence(producer)
        if holds and in_order:
            self._admit(producer_id, question)
            self._write(producer, question.epoch, question.sequence, question.count)
            return
        try:
            self._admit(producer_id, question)
            batch = self._batch(producer_id, question.epoch, question.sequence, question.count)
            result = self.partition.append(
                memoryview(batch), acks=1, now_ms=NOW_MS, origin=AppendOrigin.CLIENT
            )
        except BrokerError as refusal:
            allowed = {ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER} if holds else LATE
            assert refusal.code in allowed, (refusal, question)
            self.seen[f"batch refused: {refusal.code.name}"] += 1
        else:
            assert result.duplicate, "a late batch was written"
            self.seen["batch repeated"] += 1

    def _admit(self, producer_id: ProducerId, question: Question) -> None:
        self.log.producers.admit(producer_id, question.epoch, question.verification)

    def _write(self, producer: Producer, epoch: ProducerEpoch, sequence: int, count: int) -> None:
        self._append(self._batch(producer.producer_id, epoch, sequence, count))
        end = self.history.end
        self.history.entries.append(Batch(producer.producer_id, epoch, sequence, end, end + count - 1))
        producer.is_lost = False

    def _batch(self, producer_id: ProducerId, epoch: ProducerEpoch, sequence: int, count: int) -> bytearray:
        return make_batch(
            count, producer_id=producer_id, producer_epoch=epoch, base_sequence=sequence, transactional=True
        )

    def _append(self, batch: bytearray) -> None:
        result = self.partition.append(
            memoryview(batch), acks=ACKS_ALL, now_ms=NOW_MS, origin=AppendOrigin.CLIENT
        )
        assert not result.duplicate and result.base_offset == self.history.end

    def _next_sequence(self, producer: Producer) -> int:
        return self.history.next_sequence(producer.producer_id, producer.epoch) + producer.skew

    def _is_open(self, producer: Producer) -> bool:
        return not producer.is_lost and self.history.is_open(producer.producer_id, producer.epoch)

    # -- the coordinator -----------------------------------------------------------------------------------

    def end(self, producer_id: ProducerId, committed: bool) -> None:
        """It decides, or tries again what it decided."""
        producer = self.producers[producer_id]
        if not producer.is_under_way:
            return
        if producer.outcome is None:
            producer.outcome = committed
        self._mark(producer, producer.marker_epoch, producer.outcome)

    def complete(self, producer_id: ProducerId) -> None:
        """It hears that its marker is committed: the producer may go on."""
        producer = self.producers[producer_id]
        marker = self._last_marker(producer)
        if (
            producer.outcome is not None
            and marker is not None
            and marker.first < self.partition.high_watermark
        ):
            if producer.bumps:
                producer.epoch += 1
                producer.skew = 0
            producer.is_under_way = False
            producer.outcome = None

    def repeat(self, producer_id: ProducerId) -> None:
        """A marker of the last transaction comes again, late; only version 2 can tell it from one of the next."""
        producer = self.producers[producer_id]
        if producer.outcome is not None or not producer.bumps or producer.epoch == 0:
            return
        if not self._is_open(producer):
            self._mark(producer, producer.epoch, False)
            return
        end = self.log.log_end_offset
        try:
            self._append_marker(producer_id, producer.epoch, committed=False)
        except BrokerError as refusal:
            assert refusal.code is ErrorCode.INVALID_PRODUCER_EPOCH
            self.seen["marker refused"] += 1
        assert self.log.log_end_offset == end, "a late marker ended the transaction that came next"

    def _last_marker(self, producer: Producer) -> Marker | None:
        """The one that ended the current transaction."""
        for entry in reversed(self.history.entries):
            if entry.producer_id == producer.producer_id:
                is_it = isinstance(entry, Marker) and entry.epoch == producer.marker_epoch
                return entry if is_it and isinstance(entry, Marker) else None
        return None

    def _mark(self, producer: Producer, epoch: ProducerEpoch, committed: bool) -> None:
        self._append_marker(producer.producer_id, epoch, committed=committed)
        self.history.entries.append(Marker(producer.producer_id, epoch, self.history.end, committed))
        producer.is_lost = False

    def _append_marker(self, producer_id: ProducerId, epoch: ProducerEpoch, *, committed: bool) -> None:
        marker = end_txn_marker(
            committed=committed,
            producer_id=producer_id,
            producer_epoch=epoch,
            coordinator_epoch=0,
            timestamp_ms=NOW_MS,
        )
        version = 2 if self.producers[producer_id].bumps else 1
        self.partition.append_marker(memoryview(marker), now_ms=NOW_MS, transaction_version=version)

    # -- the partition -------------------------------------------------------------------------------------

    def replicate(self, lag: int) -> None:
        """The follower has fetched all but the last `lag` batches."""
        ends = [0, *(entry.last + 1 for entry in self.history.entries)]
        self.partition.update_follower(FOLLOWER, ends[max(len(ends) - 1 - lag, 0)])

    def roll(self) -> None:
        self.log.roll(NOW_MS)

    def flush(self) -> None:
        plan = self.log.flush_plan()
        plan.run()
        self.log.flushed(plan)

    def truncate(self, share: float) -> None:
        """Another leader's log, which ends earlier, is taken over."""
        ends = [entry.last + 1 for entry in self.history.entries if entry.last + 1 >= self._committed]
        if not ends:
            return
        end = ends[int(share * (len(ends) - 1))]
        if end == self.history.end:
            return
        self.seen["truncated"] += 1
        self.log.truncate_to(end, NOW_MS)
        self.history.truncate(end)
        self._stable = 0
        loaded = self._newest_snapshot()
        self._reloaded((loaded, loaded))
        self._lead()

    def reopen(self, clean: bool, forgets: int) -> None:
        """The node stops and starts; its high watermark may have been checkpointed a while ago."""
        below = [
            entry.last + 1 for entry in self.history.entries if entry.last < self.partition.high_watermark
        ]
        checkpointed = max([0, *below][: len(below) + 1 - forgets], default=0)
        log = self.log
        if clean:
            log.close()
        else:
            log.release()
        self._stable = 0
        self._open(clean=clean, high_watermark=checkpointed, recovery_point=log.recovery_point)

    def delete(self, share: float) -> None:
        """An administrator has records deleted."""
        offset = int(share * self.partition.high_watermark)
        self.partition.delete_records(offset)
        self._deleted()

    def retain(self) -> None:
        """Retention by size."""
        self.flush()
        plan = self.log.delete_old_segments(NOW_MS, self.partition.high_watermark)
        if plan is not None:
            plan.run()
            self.seen["segments deleted"] += 1
        self._deleted()

    def _deleted(self) -> None:
        self.history.log_start = self.log.log_start_offset

    def _open(self, *, clean: bool, high_watermark: Offset, recovery_point: Offset) -> None:
        log, _ = open_log(
            self.fs,
            CONFIG,
            clean=clean,
            log_start_offset=self.history.log_start,
            recovery_point=recovery_point,
        )
        log.producers.demands_verification = True
        self.partition = Partition(log.topic_partition, log, node_id=ME, high_watermark=high_watermark)
        loaded = self._newest_snapshot()
        self._reloaded((loaded if clean else 0, loaded))
        self._lead()

    def _newest_snapshot(self) -> Offset:
        snapshots = self.log.producers.snapshot_offsets
        return max((offset for offset in snapshots if offset <= self.log.log_end_offset), default=0)

    def _reloaded(self, decided_below: tuple[Offset, Offset]) -> None:
        """The producer state is that of a snapshot and what came behind it."""
        self.decided_below = decided_below
        self.may_know_less |= self.history.log_start > 0
        for producer in self.producers.values():
            producer.questions.clear()
            if not self.may_know_less:
                continue
            state = self.log.producers.producers.get(producer.producer_id)
            is_known = state is not None and state.epoch == producer.epoch
            due = state.next_sequence if state is not None and is_known else 0
            producer.skew = due - self.history.next_sequence(producer.producer_id, producer.epoch)
            producer.is_lost = state is None or state.txn_first_offset < 0
            self.seen["producer forgotten"] += state is None

    def _lead(self) -> None:
        self.leader_epoch += 1
        self.partition.become_leader(
            leader_epoch=self.leader_epoch,
            partition_epoch=self.leader_epoch,
            assigned_replicas=(ME, FOLLOWER),
            in_sync_replicas=(ME, FOLLOWER),
        )

    # -- readers, and what must hold -----------------------------------------------------------------------

    def read(self, share: float, max_bytes: int) -> None:
        """A consumer of committed records goes through the partition from somewhere on."""
        stable = self.partition.last_stable_offset
        start = self.history.log_start + int(share * (stable - self.history.log_start))
        offset, got = start, []
        while offset < stable:
            result = read(self.log, offset, max_bytes, self.partition.read_bound(READ_COMMITTED, CONSUMER))
            aborted = self.log.aborted_transactions(offset, result.next_offset)
            fetched = readable_batches(read_bytes(result), offset, aborted)
            got += [(batch.header.producer_id, batch.header.base_offset) for batch in fetched.batches]
            assert fetched.next_offset > offset, "the reader does not get on"
            offset = fetched.next_offset
        self.seen["read"] += bool(got)
        assert got == [(batch.producer_id, batch.first) for batch in self.history.committed(start, stable)]

    def aborted(self, share: float, length: int) -> None:
        """The aborted transactions of a stretch."""
        start = self.history.log_start + int(share * (self.history.end - self.history.log_start))
        end = min(start + length, self.history.end)
        if start < end and not self.may_know_less:
            found = self.log.aborted_transactions(start, end)
            assert found == self.history.aborted(start, end)
            self.seen["aborted named"] += bool(found)

    def check(self) -> None:
        """What holds after every step."""
        history, partition = self.history, self.partition
        assert partition.log.log_end_offset == history.end
        high_watermark = partition.high_watermark
        decided_least, decided_most = (max(high_watermark, each) for each in self.decided_below)
        stable = partition.last_stable_offset
        least = history.last_stable_offset(high_watermark, decided_least)
        find_most = history.last_stable_offset_at_most if self.may_know_less else history.last_stable_offset
        assert least <= stable <= find_most(high_watermark, decided_most)
        self._committed = max(self._committed, high_watermark)
        self.seen["held back"] += stable < high_watermark
        self.seen["decided, not replicated"] += bool(self.log.producers.unreplicated)
        self.seen["open, records deleted"] += (
            self.log.producers.first_unstable_offset or 0
        ) < history.log_start
        assert stable >= self._stable, "the last stable offset fell"
        self._stable = stable
        for producer in self.producers.values():
            state = self.log.producers.producers.get(producer.producer_id)
            if state is not None and state.txn_first_offset >= 0:
                assert producer.is_under_way, "a transaction is open that its coordinator does not know"

    def settle(self) -> None:
        """All is decided and replicated in the end: nothing is held back any more."""
        for producer_id in PRODUCERS:
            self.end(producer_id, committed=True)
        self.replicate(0)
        self.check()
        assert self.partition.last_stable_offset == self.partition.high_watermark == self.history.end
        self.read(0.0, 200)

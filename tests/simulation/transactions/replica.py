"""One partition: the broker's own log and leader role, over a disk in memory, with a follower that may lag.

    appended ──► the follower has it, in a while ──► high watermark ──► whoever waits is told

It is lost and taken up again: the process is killed, and its log is read again from the disk as it is; or another
replica leads, which has all that is committed and perhaps more. That one either is the same log, cut back, or was made
by copying batch by batch, as followers do. Each term has a leader epoch of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from protocol.control_records import end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.records import iter_batches, read_header
from protocol.types import Offset, TopicPartition
from replication.partition import ACKS_ALL, READ_COMMITTED, Partition
from storage.config import LogConfig
from storage.fs.memory import MemoryFileSystem
from storage.log import AppendOrigin, AppendResult, Log
from storage.recovery.loader import load_log
from tests.simulation.common.clock import Clock
from tests.simulation.transactions.partition_picture import PartitionPicture

REFUSALS = (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.REQUEST_TIMED_OUT)
_READ_BYTES = 1 << 20
_FOLLOWER = 2

Written = Callable[[ErrorCode], None]


class Replica:
    """Leads unless it is away."""

    def __init__(
        self, clock: Clock, choose: Random, topic_partition: TopicPartition, config: LogConfig
    ) -> None:
        self.topic_partition = topic_partition
        self.lag_ms = 0
        """The follower has what was appended after up to so long; 0 for at once."""
        self.refuse_one_in = 0
        """Of so many appends one is refused; 0 for none."""
        self.refuse_until_ms = 0
        self.picture = PartitionPicture(str(topic_partition))
        self.on_committed: Callable[[], None] = _nothing
        self.on_read_anew: Callable[[], None] = _nothing
        """Called when a new term begins: what was not committed may be gone."""
        self.leader_epoch = 0
        self._clock = clock
        self._choose = choose
        self._config = config
        self._fs = MemoryFileSystem(clock.now_ms)
        self._directory = ""
        self._copies = 0
        self._committed: Offset = 0
        """What is committed for sure: no move of the leadership loses it."""
        self._waiting: deque[tuple[Offset, Written]] = deque()
        """In the order of their offsets (exclusive): who waits until it is committed."""
        self._log: Log
        self._partition: Partition[Log] | None = None
        self._new_directory()
        self._log = self._load(0)
        self.lead(0)

    def __repr__(self) -> str:
        return str(self.topic_partition)

    # -- role ------------------------------------------------------------------------------------------------

    @property
    def leads(self) -> bool:
        return self._partition is not None

    @property
    def partition(self) -> Partition[Log]:
        assert self._partition is not None, f"{self} is away"
        return self._partition

    @property
    def log(self) -> Log:
        return self._log

    @property
    def high_watermark(self) -> Offset:
        return self.partition.high_watermark

    def lead(self, high_watermark: Offset) -> None:
        """Begin a term; `high_watermark` is what this replica knew of it."""
        self.leader_epoch += 1
        partition = Partition(self.topic_partition, self._log, node_id=1, high_watermark=high_watermark)
        self._log.producers.demands_verification = True
        partition.become_leader(
            leader_epoch=self.leader_epoch,
            partition_epoch=self.leader_epoch,
            assigned_replicas=(1, _FOLLOWER),
            in_sync_replicas=(1, _FOLLOWER),
        )
        self._partition = partition
        self.picture.begin_term(self.batches(), max(self._log.producers.snapshot_offsets, default=0))
        self.on_read_anew()
        self._follow()
        self.check()

    def stop(self, *, moved: bool) -> None:
        """Lose the role: another replica leads (`moved`), or the process is killed. `come_back` ends it."""
        # A leader that has just begun may know less than what is committed.
        high_watermark = self._committed = max(self._committed, self.high_watermark)
        self._partition = None
        waiting, self._waiting = self._waiting, deque()
        self._log.release()
        if moved:
            self._become_another(high_watermark)
        else:
            self._log = self._load(high_watermark)
        for _, written in waiting:
            written(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def come_back(self) -> None:
        """Lead again. A replica may know only an older high watermark."""
        known = self._committed
        if self._choose.random() < 0.3:
            ends = [header.last_offset + 1 for header, _ in self.batches()]
            known = self._choose.choice([0, *(end for end in ends if end <= known)])
        self.lead(known)

    def _become_another(self, high_watermark: Offset) -> None:
        ends = [
            header.last_offset + 1 for header, _ in self.batches() if header.last_offset >= high_watermark
        ]
        end = self._choose.choice([high_watermark, *ends])
        if self._choose.random() < 0.5:
            self._log.truncate_to(end, self._clock.now_ms)
            return
        data = self._read(0, end)
        self._new_directory()
        self._log = self._load(0)
        self._log.append_replica(data)
        assert self._log.log_end_offset == end

    def _new_directory(self) -> None:
        self._copies += 1
        self._directory = f"/{self.topic_partition.topic}-{self.topic_partition.partition}.{self._copies}"
        self._fs.makedirs(self._directory)

    def _load(self, recovery_point: Offset) -> Log:
        log, report = load_log(
            self._fs,
            self._directory,
            self.topic_partition,
            self._config,
            recovery_point=recovery_point,
            log_start_offset=0,
            clean=False,
            now_ms=self._clock.now_ms,
        )
        assert report.cut_offset < 0, f"{self}: {report}"
        return log

    # -- writing ---------------------------------------------------------------------------------------------

    def append(self, batch: bytearray, origin: AppendOrigin) -> AppendResult:
        """Raises: BrokerError."""
        self._may_refuse()
        try:
            result = self.partition.append(batch, acks=ACKS_ALL, now_ms=self._clock.now_ms, origin=origin)
        except BrokerError as refusal:
            if refusal.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
                self.picture.refused(read_header(batch))
            raise
        if not result.duplicate:
            self.picture.note(read_header(batch), batch)
        self._appended()
        assert isinstance(result, AppendResult)
        return result

    def append_marker(
        self,
        *,
        producer_id: int,
        producer_epoch: int,
        committed: bool,
        coordinator_epoch: int,
        transaction_version: int,
    ) -> AppendResult:
        """Raises: BrokerError."""
        self._may_refuse()
        batch = end_txn_marker(
            committed=committed,
            producer_id=producer_id,
            producer_epoch=producer_epoch,
            coordinator_epoch=coordinator_epoch,
            timestamp_ms=self._clock.now_ms,
        )
        result = self.partition.append_marker(
            batch, now_ms=self._clock.now_ms, transaction_version=transaction_version
        )
        self.picture.note(read_header(batch), batch)
        self._appended()
        assert isinstance(result, AppendResult)
        return result

    def when_committed(self, end_offset: Offset, written: Written) -> None:
        """Tell once what became of what was appended up to there (exclusive): NONE when it is committed."""
        if end_offset <= self.high_watermark:
            written(ErrorCode.NONE)
        else:
            self._waiting.append((end_offset, written))

    def _may_refuse(self) -> None:
        if self._partition is None:
            raise BrokerError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        refuses = self._clock.now_ms < self.refuse_until_ms
        if refuses or (self.refuse_one_in > 0 and self._choose.randrange(self.refuse_one_in) == 0):
            raise BrokerError(self._choose.choice(REFUSALS))

    # -- the high watermark ----------------------------------------------------------------------------------

    def _appended(self) -> None:
        self._follow()
        self.check()

    def _follow(self) -> None:
        end = self._log.log_end_offset
        if self.lag_ms == 0:
            self._follower_has(self.leader_epoch, end)
        else:
            delay_ms = self._choose.randint(0, self.lag_ms)
            self._clock.after(delay_ms, self._follower_has, self.leader_epoch, end)

    def _follower_has(self, leader_epoch: int, end: Offset) -> None:
        partition = self._partition
        if partition is None or leader_epoch != self.leader_epoch or end <= partition.high_watermark:
            return
        if partition.update_follower(_FOLLOWER, end):
            self.check()
            self.on_committed()
            while self._waiting and self._waiting[0][0] <= partition.high_watermark:
                self._waiting.popleft()[1](ErrorCode.NONE)

    def catch_up(self) -> None:
        """The follower has it all."""
        if self._partition is not None:
            self._follower_has(self.leader_epoch, self._log.log_end_offset)

    def check(self) -> None:
        partition = self.partition
        self.picture.check(partition.high_watermark, partition.last_stable_offset, self._log.log_end_offset)

    # -- reading ---------------------------------------------------------------------------------------------

    def fetch(
        self, offset: Offset, isolation: int, max_bytes: int = _READ_BYTES
    ) -> tuple[bytes, list[tuple[int, Offset]]]:
        """Return what a consumer gets from `offset` on, and the aborted transactions in it."""
        bound = self.partition.read_bound(isolation, -1)
        if offset >= bound:
            return b"", []
        data, end = self._read_some(offset, bound, max_bytes)
        aborted = self._log.aborted_transactions(offset, end) if isolation == READ_COMMITTED else []
        return data, aborted

    def batches(self) -> list[tuple[Any, memoryview]]:
        """Return header and bytes of every batch."""
        data = self._read(0, self._log.log_end_offset)
        return [(read_header(batch), batch) for batch in iter_batches(data)]

    def _read(self, offset: Offset, end: Offset) -> bytes:
        """Return all batches up to there."""
        data = b""
        while offset < end:
            some, offset = self._read_some(offset, end, _READ_BYTES)
            data += some
        return data

    def _read_some(self, offset: Offset, end: Offset, max_bytes: int) -> tuple[bytes, Offset]:
        """Return batches of one segment, and the offset behind them."""
        result = self._log.read(offset, max_bytes, end)
        if result.cold is not None:
            result.cold.run()
            result = self._log.finish_read(result.cold)
        assert result.region is not None and result.next_offset > offset, f"{self}: nothing at {offset}"
        return result.region.read(), result.next_offset


def _nothing() -> None:
    return None

"""A log for tests of what stands above it: offsets without bytes, moved by hand where a test wants it."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.errors import BrokerError, ErrorCode
from protocol.types import LeaderEpoch, Offset, TimestampMs, TopicPartition
from replication.partition import Partition
from replication.partition_state import NO_LEADER

ME = 1
OTHERS = (2, 3)


@dataclass
class FakeAppendResult:
    base_offset: Offset
    last_offset: Offset
    duplicate: bool = False
    flush_to: Offset = -1
    log_append_time: TimestampMs = -1


@dataclass
class FakeConfig:
    min_insync_replicas: int = 1
    deletes: bool = True


@dataclass
class FakeProducers:
    """`first_unstable_offset` is set by the test; what it is told of the high watermark is kept."""

    first_unstable_offset: Offset | None = None
    high_watermarks: list[Offset] = field(default_factory=list)

    def on_high_watermark(self, high_watermark: Offset) -> None:
        self.high_watermarks.append(high_watermark)


@dataclass
class FakeEpochs:
    assigned: list[tuple[LeaderEpoch, Offset]] = field(default_factory=list)

    def assign(self, epoch: LeaderEpoch, start_offset: Offset) -> None:
        self.assigned.append((epoch, start_offset))


@dataclass
class FakeReplicaLog:
    """A batch is the number of its records; a record is one byte."""

    log_start_offset: Offset = 0
    log_end_offset: Offset = 0
    recovery_point: Offset = 0
    config: FakeConfig = field(default_factory=FakeConfig)
    leader_epochs: FakeEpochs = field(default_factory=FakeEpochs)
    producers: FakeProducers = field(default_factory=FakeProducers)
    flush_demanded: bool = False
    refuse_with: ErrorCode | None = None
    written_in: list[LeaderEpoch] = field(default_factory=list)

    def advance_log_start_offset(self, offset: Offset) -> bool:
        moves = offset > self.log_start_offset
        self.log_start_offset = max(offset, self.log_start_offset)
        return moves

    def append(
        self, batch: int, *, leader_epoch: LeaderEpoch, now_ms: TimestampMs, origin: object
    ) -> FakeAppendResult:
        if self.refuse_with is not None:
            raise BrokerError(self.refuse_with)
        base = self.log_end_offset
        self.log_end_offset += batch
        self.written_in.append(leader_epoch)
        flush_to = self.log_end_offset if self.flush_demanded else -1
        return FakeAppendResult(base, self.log_end_offset - 1, flush_to=flush_to)


FakePartition = Partition[FakeReplicaLog]


def partition_of(log: FakeReplicaLog, *, high_watermark: Offset = 0) -> FakePartition:
    """A partition on `log` that has no role yet."""
    return Partition(TopicPartition("orders", 0), log, node_id=ME, high_watermark=high_watermark)


def lead(
    partition: FakePartition,
    *followers: int,
    epoch: LeaderEpoch = 0,
    partition_epoch: int = 0,
    assigned: tuple[int, ...] | None = None,
) -> bool:
    """Make `partition` the leader with these followers in sync."""
    in_sync = (ME, *followers)
    return partition.become_leader(
        leader_epoch=epoch,
        partition_epoch=partition_epoch,
        assigned_replicas=assigned or in_sync,
        in_sync_replicas=in_sync,
    )


def follow(partition: FakePartition, *, epoch: LeaderEpoch, partition_epoch: int = 0) -> None:
    """Take the leader's role away."""
    partition.resign(leader_id=NO_LEADER, leader_epoch=epoch, partition_epoch=partition_epoch)


def append(partition: FakePartition, records: int = 1, acks: int = -1) -> FakeAppendResult:
    """Append a batch of so many records."""
    result = partition.append(records, acks=acks, now_ms=0, origin=None)
    assert isinstance(result, FakeAppendResult)
    return result

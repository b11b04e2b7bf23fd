"""Goal: over a real log, too, everything waits for a high watermark that is held back.

Method: a leader whose in-sync follower reports only when told to; batches, markers and flushes are real ones.
"""

from collections.abc import Callable

import pytest

from logd.delayed import DelayedQueue, FetchWait, ProduceWait
from protocol.control_records import end_txn_marker
from protocol.errors import ErrorCode
from replication.partition import ACKS_ALL, READ_COMMITTED, READ_UNCOMMITTED, Partition
from storage.config import LogConfig
from storage.fs.memory import MemoryFileSystem
from storage.log import AppendOrigin, AppendResult, Log
from tests.support.logs import NOW_MS, flush, make_batch, open_log, read, read_bytes
from tests.support.timers import FakeTimers

CONSUMER = -1
FOLLOWER = 2


def leader(config: LogConfig | None = None, *, follower: bool = True) -> Partition[Log]:
    log, _ = open_log(MemoryFileSystem(), config)
    partition = Partition(log.topic_partition, log, node_id=1)
    lead(partition, follower=follower)
    return partition


def lead(partition: Partition[Log], *, follower: bool = False) -> None:
    partition.become_leader(
        leader_epoch=3,
        partition_epoch=0,
        assigned_replicas=(1, FOLLOWER),
        in_sync_replicas=(1, FOLLOWER) if follower else (1,),
    )


def produce(
    partition: Partition[Log],
    count: int = 1,
    *,
    acks: int = ACKS_ALL,
    producer_id: int = -1,
    sequence: int = -1,
) -> AppendResult:
    transactional = producer_id >= 0
    batch = make_batch(
        count,
        producer_id=producer_id,
        producer_epoch=0 if transactional else -1,
        base_sequence=sequence,
        transactional=transactional,
    )
    result = partition.append(memoryview(batch), acks=acks, now_ms=NOW_MS, origin=AppendOrigin.CLIENT)
    assert isinstance(result, AppendResult)
    return result


def mark(partition: Partition[Log], producer_id: int, *, committed: bool) -> AppendResult:
    batch = end_txn_marker(
        committed=committed,
        producer_id=producer_id,
        producer_epoch=0,
        coordinator_epoch=0,
        timestamp_ms=NOW_MS,
    )
    result = partition.append(
        memoryview(batch), acks=ACKS_ALL, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR
    )
    assert isinstance(result, AppendResult)
    return result


def visible(partition: Partition[Log], isolation: int) -> int:
    """Bytes that a consumer gets from the start."""
    return len(read_bytes(read(partition.log, 0, upper=partition.read_bound(isolation, CONSUMER))))


def test_readers_see_what_is_replicated_and_no_byte_more() -> None:
    partition = leader()
    sizes = []
    for count in (1, 4, 2):
        produce(partition, count)
        sizes.append(partition.log.size_bytes)
    assert visible(partition, READ_UNCOMMITTED) == visible(partition, READ_COMMITTED) == 0
    for end, size in ((1, sizes[0]), (5, sizes[1]), (7, sizes[2])):
        partition.update_follower(FOLLOWER, end)
        assert visible(partition, READ_UNCOMMITTED) == visible(partition, READ_COMMITTED) == size
    assert partition.log.leader_epochs.entries == [(3, 0)]


def test_the_last_stable_offset_waits_for_the_marker_to_be_replicated() -> None:
    partition = leader()
    produce(partition, 2)
    produce(partition, 3, producer_id=7, sequence=0)
    produce(partition, 1)
    mark(partition, 7, committed=False)
    assert partition.log.log_end_offset == 7
    partition.update_follower(FOLLOWER, 6)
    assert (partition.high_watermark, partition.last_stable_offset) == (6, 2)
    partition.update_follower(FOLLOWER, 7)
    assert (partition.high_watermark, partition.last_stable_offset) == (7, 7)
    assert partition.log.aborted_transactions(0, 7) == [(7, 2)]


@pytest.mark.parametrize(("checkpointed", "stable"), [(0, 2), (5, 2), (6, 6)])
def test_a_log_replayed_after_a_crash_holds_back_what_is_not_known_to_be_replicated(
    checkpointed: int, stable: int
) -> None:
    fs = MemoryFileSystem()
    before, _ = open_log(fs)
    partition = Partition(before.topic_partition, before, node_id=1)
    lead(partition)
    produce(partition, 2)
    produce(partition, 3, producer_id=7, sequence=0)
    mark(partition, 7, committed=True)

    log, report = open_log(fs, clean=False)
    assert not report.clean
    again = Partition(log.topic_partition, log, node_id=1, high_watermark=checkpointed)
    assert again.last_stable_offset == min(stable, checkpointed)
    lead(again)
    assert (again.high_watermark, again.last_stable_offset) == (6, 6)


def test_a_retry_is_acknowledged_when_the_original_is() -> None:
    partition = leader()
    original = produce(partition, 3, producer_id=7, sequence=0)
    produce(partition, 2, producer_id=7, sequence=3)
    again = produce(partition, 3, producer_id=7, sequence=0)
    assert again.duplicate and (again.base_offset, again.last_offset) == (0, 2)
    assert not partition.has_acknowledged(again, ACKS_ALL)
    partition.update_follower(FOLLOWER, 3)
    assert partition.has_acknowledged(original, ACKS_ALL) and partition.has_acknowledged(again, ACKS_ALL)


def test_with_a_flush_demanded_one_replica_waits_for_its_disk() -> None:
    partition = leader(LogConfig(flush_messages=2), follower=False)
    assert partition.has_acknowledged(produce(partition), ACKS_ALL)
    result = produce(partition)
    assert result.flush_to == 2
    assert partition.high_watermark == 1
    assert not partition.has_acknowledged(result, 1)
    flush(partition.log)
    partition.log_flushed()
    assert partition.high_watermark == 2
    assert partition.has_acknowledged(result, 1) and partition.has_acknowledged(result, ACKS_ALL)


@pytest.mark.parametrize(
    "advance",
    [
        lambda partition: partition.update_follower(FOLLOWER, 2),
        lambda partition: partition.become_leader(
            leader_epoch=3, partition_epoch=1, assigned_replicas=(1, FOLLOWER), in_sync_replicas=(1,)
        ),
    ],
)
def test_parked_requests_are_answered_when_it_moves(advance: Callable[[Partition[Log]], bool]) -> None:
    partition = leader()
    queue = DelayedQueue(FakeTimers())
    answered: list[str] = []

    def measure(wait: FetchWait, bound: int) -> int:
        return len(read_bytes(read(partition.log, wait.offset, wait.bytes_max, bound)))

    def park_fetch(isolation: int, bytes_min: int) -> None:
        queue.park_fetch(
            [FetchWait(partition, 0, 1 << 20)],
            1_000,
            lambda: answered.append(f"fetch {isolation} {bytes_min}"),
            bytes_min=bytes_min,
            isolation=isolation,
            replica_id=CONSUMER,
            measure=measure,
        )

    park_fetch(READ_UNCOMMITTED, 1)
    park_fetch(READ_COMMITTED, 100)
    park_fetch(READ_COMMITTED, 1_000_000)
    wait = ProduceWait(partition, produce(partition, 2), ACKS_ALL)
    queue.park_produce([wait], 1_000, lambda: answered.append("produce"))
    queue.partition_moved(partition)
    assert answered == []

    assert advance(partition)
    queue.partition_moved(partition)
    assert sorted(answered) == [f"fetch {READ_UNCOMMITTED} 1", f"fetch {READ_COMMITTED} 100", "produce"]
    assert wait.error is ErrorCode.NONE and len(queue) == 1

"""Goal: a parked request ends exactly once, as soon as its condition holds, at the latest at its deadline."""

from collections.abc import Callable, Sequence

import pytest

from logd.delayed import DelayedFetch, DelayedProduce, DelayedQueue, FetchWait, ProduceWait
from protocol.errors import ErrorCode
from replication.partition import ACKS_ALL, READ_COMMITTED, READ_UNCOMMITTED
from storage.errors import StorageFailure
from tests.support.replica_log import FakePartition, FakeReplicaLog, append, follow, lead, partition_of
from tests.support.timers import FakeTimers

CONSUMER = -1
FOLLOWER = 2


class World:
    """A queue, partitions that a second replica holds back, and a list of what was completed."""

    def __init__(self) -> None:
        self.timers = FakeTimers()
        self.queue = DelayedQueue(self.timers)
        self.completed: list[str] = []
        self.measured: list[FetchWait] = []

    def partition(self, *, sole: bool = False, min_insync: int = 1) -> FakePartition:
        partition = partition_of(FakeReplicaLog())
        partition.log.config.min_insync_replicas = min_insync
        lead(partition, *(() if sole else (FOLLOWER,)), assigned=(1, FOLLOWER))
        return partition

    def replicate(self, partition: FakePartition, end: int) -> None:
        """The follower reports, and those who wait are woken."""
        partition.update_follower(FOLLOWER, end)
        self.queue.partition_moved(partition)

    def write(self, partition: FakePartition, records: int = 1) -> None:
        append(partition, records, acks=1)
        self.queue.partition_moved(partition)

    def produce(
        self,
        *partitions: FakePartition,
        name: str = "produce",
        acks: int = ACKS_ALL,
        timeout_ms: int = 1_000,
        then: Callable[[], None] = lambda: None,
    ) -> tuple[DelayedProduce, Sequence[ProduceWait]]:
        waits = [ProduceWait(partition, append(partition, acks=acks), acks) for partition in partitions]
        delayed = self.queue.park_produce(waits, timeout_ms, self._completion(name, then))
        return delayed, waits

    def fetch(
        self,
        *partitions: FakePartition,
        name: str = "fetch",
        bytes_min: int = 1,
        bytes_max: int = 1_000,
        isolation: int = READ_UNCOMMITTED,
        replica_id: int = CONSUMER,
        timeout_ms: int = 1_000,
        then: Callable[[], None] = lambda: None,
    ) -> DelayedFetch:
        """A fetch that continues where each partition can be read up to now."""
        return self.queue.park_fetch(
            [FetchWait(p, p.read_bound(isolation, replica_id), bytes_max) for p in partitions],
            timeout_ms,
            self._completion(name, then),
            bytes_min=bytes_min,
            isolation=isolation,
            replica_id=replica_id,
            measure=self._measure,
        )

    def _completion(self, name: str, then: Callable[[], None]) -> Callable[[], None]:
        def complete() -> None:
            self.completed.append(name)
            then()

        return complete

    def _measure(self, wait: FetchWait, bound: int) -> int:
        self.measured.append(wait)
        return min(bound - wait.offset, wait.bytes_max)


@pytest.fixture
def world() -> World:
    return World()


def errors(waits: Sequence[ProduceWait]) -> list[ErrorCode | None]:
    return [wait.error for wait in waits]


# -- produce -------------------------------------------------------------------------------------------------


def test_acks_all_with_one_replica_never_waits(world: World) -> None:
    _, waits = world.produce(world.partition(sole=True))
    assert world.completed == ["produce"]
    assert errors(waits) == [ErrorCode.NONE]
    assert len(world.queue) == 0 and not world.timers.live


def test_acks_all_waits_for_the_high_watermark(world: World) -> None:
    partition = world.partition()
    append(partition, 5)
    _, waits = world.produce(partition)
    world.replicate(partition, 5)
    assert world.completed == [] and len(world.queue) == 1
    world.replicate(partition, 6)
    assert world.completed == ["produce"] and errors(waits) == [ErrorCode.NONE]
    world.replicate(partition, 6)
    world.timers.advance(5_000)
    assert world.completed == ["produce"]


def test_several_partitions_are_waited_for(world: World) -> None:
    first, second = world.partition(), world.partition()
    _, waits = world.produce(first, second, first)
    world.replicate(first, 1)
    assert errors(waits) == [ErrorCode.NONE, None, None]
    world.replicate(second, 1)
    assert world.completed == []
    world.replicate(first, 2)
    assert world.completed == ["produce"] and errors(waits) == [ErrorCode.NONE] * 3


def test_at_the_deadline_only_what_was_not_reached_has_timed_out(world: World) -> None:
    first, second = world.partition(), world.partition()
    _, waits = world.produce(first, second, timeout_ms=300)
    world.replicate(second, 1)
    world.timers.advance(298)
    assert world.completed == []
    world.timers.advance(2)
    assert world.completed == ["produce"]
    assert errors(waits) == [ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NONE]
    world.replicate(first, 1)
    assert world.completed == ["produce"] and errors(waits)[0] is ErrorCode.REQUEST_TIMED_OUT


def test_a_move_that_nobody_told_of_still_counts_at_the_deadline(world: World) -> None:
    partition = world.partition()
    _, waits = world.produce(partition)
    partition.update_follower(FOLLOWER, 1)
    world.timers.advance(1_000)
    assert errors(waits) == [ErrorCode.NONE]


def test_a_retry_of_an_older_batch_does_not_wait_for_newer_ones(world: World) -> None:
    partition = world.partition()
    retried = append(partition)
    world.produce(partition, name="newer")
    waits = [ProduceWait(partition, retried, ACKS_ALL)]
    world.queue.park_produce(waits, 1_000, lambda: world.completed.append("retry"))
    world.replicate(partition, 1)
    assert world.completed == ["retry"]


@pytest.mark.parametrize("acks", [1, ACKS_ALL])
def test_a_demanded_flush_is_waited_for(world: World, acks: int) -> None:
    partition = world.partition(sole=True)
    partition.log.flush_demanded = True
    world.produce(partition, acks=acks)
    partition.log.flush_demanded = False
    world.write(partition)
    assert world.completed == []
    partition.log.recovery_point = 1
    partition.log_flushed()
    world.queue.partition_moved(partition)
    assert world.completed == ["produce"]


def test_a_flush_ends_a_wait_although_the_high_watermark_stands_still(world: World) -> None:
    partition = world.partition()
    partition.log.flush_demanded = True
    world.produce(partition, acks=1)
    world.queue.partition_moved(partition)
    partition.log.recovery_point = 1
    assert not partition.log_flushed()
    world.queue.partition_moved(partition)
    assert world.completed == ["produce"]


def test_too_few_replicas_in_sync_ends_the_wait(world: World) -> None:
    partition = world.partition(min_insync=2)
    _, waits = world.produce(partition)
    world.queue.partition_moved(partition)
    lead(partition, partition_epoch=1, assigned=(1, FOLLOWER))
    world.queue.partition_moved(partition)
    assert errors(waits) == [ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda p: follow(p, epoch=1), ErrorCode.NOT_LEADER_OR_FOLLOWER),
        (lambda p: lead(p, epoch=1), ErrorCode.NOT_LEADER_OR_FOLLOWER),
        (lambda p: p.go_offline(), ErrorCode.KAFKA_STORAGE_ERROR),
        (lambda p: p.delete(), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
@pytest.mark.parametrize("acks", [1, ACKS_ALL])
def test_a_lost_role_ends_the_wait(
    world: World, acks: int, change: Callable[[FakePartition], object], code: ErrorCode
) -> None:
    first, second = world.partition(), world.partition()
    first.log.flush_demanded = second.log.flush_demanded = True
    _, waits = world.produce(first, second, acks=acks)
    world.queue.partition_moved(first)
    change(first)
    world.queue.partition_moved(first)
    assert errors(waits) == [code, None] and world.completed == []
    change(second)
    world.queue.partition_moved(second)
    assert world.completed == ["produce"] and errors(waits) == [code, code]


def test_nothing_to_wait_for_is_no_wait(world: World) -> None:
    world.queue.park_produce([], 1_000, lambda: world.completed.append("empty"))
    assert world.completed == ["empty"]


# -- fetch ---------------------------------------------------------------------------------------------------


def test_a_fetch_waits_for_the_high_watermark_not_for_the_append(world: World) -> None:
    partition = world.partition()
    world.fetch(partition)
    world.write(partition)
    assert world.completed == []
    world.replicate(partition, 1)
    assert world.completed == ["fetch"]
    assert world.measured == []


def test_a_followers_fetch_waits_for_the_append(world: World) -> None:
    partition = world.partition()
    world.fetch(partition, replica_id=FOLLOWER)
    world.write(partition)
    assert world.completed == ["fetch"]


def test_a_read_committed_fetch_waits_for_the_last_stable_offset(world: World) -> None:
    partition = world.partition(sole=True)
    partition.log.producers.first_unstable_offset = 0
    world.fetch(partition, name="committed", isolation=READ_COMMITTED)
    world.fetch(partition, name="uncommitted")
    world.write(partition, 2)
    assert world.completed == ["uncommitted"]
    partition.log.producers.first_unstable_offset = None
    world.queue.partition_moved(partition)
    assert world.completed == ["uncommitted", "committed"]


def test_what_is_there_already_is_not_waited_for(world: World) -> None:
    partition, other = world.partition(sole=True), world.partition(sole=True)
    append(partition, 3)
    waits = [FetchWait(other, 0, 100), FetchWait(partition, 1, 100)]
    world.queue.park_fetch(
        waits,
        1_000,
        lambda: world.completed.append("fetch"),
        bytes_min=2,
        isolation=READ_UNCOMMITTED,
        replica_id=CONSUMER,
        measure=lambda wait, bound: bound - wait.offset,
    )
    assert world.completed == ["fetch"] and len(world.queue) == 0 and not world.timers.live


def test_bytes_are_counted_over_all_partitions(world: World) -> None:
    first, second = world.partition(sole=True), world.partition(sole=True)
    world.fetch(first, second, bytes_min=10)
    world.write(first, 4)
    world.write(second, 3)
    world.write(first, 2)
    assert world.completed == []
    world.write(second, 1)
    assert world.completed == ["fetch"]


def test_no_partition_counts_more_than_it_may_answer(world: World) -> None:
    first, second = world.partition(sole=True), world.partition(sole=True)
    world.fetch(first, second, bytes_min=10, bytes_max=6)
    world.write(first, 50)
    assert world.completed == []
    world.write(second, 4)
    assert world.completed == ["fetch"]


def test_only_a_moved_bound_is_measured(world: World) -> None:
    partition = world.partition()
    world.fetch(partition, bytes_min=10)
    for _ in range(5):
        world.write(partition)
    assert world.measured == []
    world.replicate(partition, 5)
    world.replicate(partition, 5)
    assert len(world.measured) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda p: follow(p, epoch=1),
        lambda p: lead(p, epoch=1),
        lambda p: p.go_offline(),
        lambda p: p.delete(),
        lambda p: setattr(p.log, "log_start_offset", 1),
    ],
)
def test_an_error_on_any_partition_is_told_at_once(
    world: World, change: Callable[[FakePartition], object]
) -> None:
    first, second = world.partition(sole=True), world.partition(sole=True)
    world.fetch(first, second, bytes_min=1_000)
    change(second)
    world.queue.partition_moved(second)
    assert world.completed == ["fetch"]


def test_a_failed_measurement_is_left_to_the_handler(world: World) -> None:
    def fail(wait: FetchWait, bound: int) -> int:
        raise StorageFailure("/data", "Input/output error")

    partition = world.partition(sole=True)
    world.queue.park_fetch(
        [FetchWait(partition, 0, 100)],
        1_000,
        lambda: world.completed.append("fetch"),
        bytes_min=10,
        isolation=READ_UNCOMMITTED,
        replica_id=CONSUMER,
        measure=fail,
    )
    world.write(partition)
    assert world.completed == ["fetch"]


def test_a_fetch_ends_at_its_deadline_with_whatever_there_is(world: World) -> None:
    partition = world.partition(sole=True)
    world.fetch(partition, bytes_min=10, timeout_ms=500)
    world.fetch(name="empty", timeout_ms=200)
    world.write(partition, 3)
    world.timers.advance(200)
    assert world.completed == ["empty"]
    world.timers.advance(300)
    assert world.completed == ["empty", "fetch"]
    assert not world.timers.live


def test_the_same_partition_twice_completes_once(world: World) -> None:
    partition = world.partition(sole=True)
    world.fetch(partition, partition)
    world.write(partition)
    assert world.completed == ["fetch"] and len(world.queue) == 0


# -- deadlines -----------------------------------------------------------------------------------------------


def test_there_is_one_timer_for_all(world: World) -> None:
    partition = world.partition()
    for timeout_ms in (500, 300, 400, 100, 200):
        world.fetch(partition, name=str(timeout_ms), timeout_ms=timeout_ms)
        assert len(world.timers.live) == 1
    world.timers.advance(250)
    assert world.completed == ["100", "200"]
    assert len(world.timers.live) == 1
    world.timers.advance(1_000)
    assert world.completed == ["100", "200", "300", "400", "500"]
    assert world.timers.live == []


def test_equal_deadlines_end_in_the_order_they_came(world: World) -> None:
    partition = world.partition()
    for name in "abc":
        world.fetch(partition, name=name)
    world.timers.advance(1_000)
    assert world.completed == ["a", "b", "c"]


def test_a_timer_that_fires_too_early_ends_nothing(world: World) -> None:
    world.fetch(world.partition(), timeout_ms=500)
    (timer,) = world.timers.live
    world.timers.scheduled.clear()
    world.timers.now = 0.490
    timer.callback()
    assert world.completed == []
    world.timers.advance(10)
    assert world.completed == ["fetch"]


def test_a_timeout_of_zero_ends_in_the_next_turn(world: World) -> None:
    world.produce(world.partition(), timeout_ms=0)
    assert world.completed == []
    world.timers.advance(0)
    assert world.completed == ["produce"]


def test_requests_that_ended_leave_the_heap_before_they_are_due(world: World) -> None:
    partition = world.partition(sole=True)
    world.fetch(world.partition(), name="long", timeout_ms=50)
    for _ in range(10_000):
        world.fetch(partition, timeout_ms=1_000_000)
        world.write(partition)
    assert len(world.queue) == 1
    assert len(world.queue._deadlines) < 200
    world.timers.advance(50)
    assert world.completed[-1] == "long"


# -- ending otherwise ------------------------------------------------------------------------------------------


def test_a_cancelled_request_is_never_completed(world: World) -> None:
    partition = world.partition()
    fetch = world.fetch(partition)
    produce, _ = world.produce(partition)
    world.queue.cancel(fetch)
    world.queue.cancel(produce)
    world.queue.cancel(produce)
    assert len(world.queue) == 0 and not world.queue._watches
    world.replicate(partition, 1)
    world.timers.advance(5_000)
    assert world.completed == []


def test_cancelling_what_has_ended_does_nothing(world: World) -> None:
    fetch = world.fetch(world.partition())
    world.timers.advance(1_000)
    world.queue.cancel(fetch)
    assert len(world.queue) == 0


def test_fetches_can_be_ended_while_acknowledgements_are_still_due(world: World) -> None:
    partition = world.partition()
    world.fetch(partition, timeout_ms=60_000)
    world.produce(partition)
    world.fetch(partition, name="long", timeout_ms=90_000)
    world.queue.expire_fetches()
    assert world.completed == ["fetch", "long"] and len(world.queue) == 1
    world.replicate(partition, 1)
    assert world.completed == ["fetch", "long", "produce"]


def test_at_a_stop_everything_ends(world: World) -> None:
    partition = world.partition()
    world.fetch(partition, timeout_ms=60_000)
    _, waits = world.produce(partition)
    world.queue.expire_all()
    assert sorted(world.completed) == ["fetch", "produce"]
    assert errors(waits) == [ErrorCode.REQUEST_TIMED_OUT]
    assert len(world.queue) == 0 and not world.queue._watches
    world.timers.advance(60_000)
    assert len(world.completed) == 2


def test_nothing_is_kept_of_what_has_ended(world: World) -> None:
    first, second = world.partition(), world.partition()
    fetch = world.fetch(first, second)
    produce, _ = world.produce(first, second)
    world.timers.advance(1_000)
    assert not world.queue._watches and not world.queue._deadlines
    assert fetch.waits == produce.waits == () and fetch.complete is None


def test_one_failing_answer_does_not_keep_the_others_waiting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("bug")

    partition = world.partition(sole=True)
    world.fetch(partition, name="bad", then=fail)
    world.fetch(partition, name="good")
    world.write(partition)
    assert world.completed == ["bad", "good"] and len(world.queue) == 0
    assert "bug" in caplog.text


def test_a_completion_may_park_cancel_and_wake(world: World) -> None:
    partition = world.partition(sole=True)
    third = world.fetch(partition, name="never", bytes_min=100)

    def again() -> None:
        world.queue.cancel(third)
        world.fetch(partition, name="next")
        world.queue.partition_moved(partition)
        world.write(partition)

    world.fetch(partition, name="first", then=again)
    world.fetch(partition, name="second", then=lambda: park_last(world, partition))
    world.write(partition)
    assert world.completed == ["first", "second", "next", "last"]
    assert len(world.queue) == 0


def park_last(world: World, partition: FakePartition) -> None:
    world.fetch(partition, name="last")


def test_all_that_moved_is_looked_at_once_and_forgotten(world: World) -> None:
    first, second, later, unwatched = (world.partition() for _ in range(4))
    moved = {first, second, unwatched}
    for number, partition in enumerate((first, second)):
        world.fetch(partition, name=f"fetch {number}", then=lambda: moved.add(later))
    world.fetch(later, name="fetch of what moved meanwhile")
    for partition in (first, second, later):
        append(partition, acks=1)
        partition.update_follower(FOLLOWER, 1)
    world.queue.partitions_moved(moved)
    assert sorted(world.completed) == ["fetch 0", "fetch 1", "fetch of what moved meanwhile"]
    assert not moved and not len(world.queue)


def test_what_moved_is_forgotten_while_nobody_waits(world: World) -> None:
    moved = {world.partition(), world.partition()}
    world.queue.partitions_moved(moved)
    assert not moved

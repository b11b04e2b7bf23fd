"""Goal: whatever happens in whatever order, each parked request ends once, never late, and never early.

Method: random operations on two partitions, each followed by the wake that its caller owes; after every one of
them, each request ever parked is compared with what its condition, written down here a second time and evaluated
from scratch, says.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from logd.delayed import DelayedQueue, DelayedRequest, FetchWait, ProduceWait
from protocol.errors import ErrorCode
from replication.partition import ACKS_ALL, READ_COMMITTED, READ_UNCOMMITTED
from tests.support.replica_log import FakePartition, FakeReplicaLog, append, follow, lead, partition_of
from tests.support.timers import FakeTimers

PARTITIONS = st.integers(0, 1)
SLACK_S = 0.0011
TIMEOUTS_MS = st.sampled_from([0, 2, 20, 1_000, 100_000])


@dataclass
class Parked:
    """What the test knows of one request."""

    holds: Callable[[], bool]
    deadline: float
    delayed: DelayedRequest | None = None
    completions: int = 0
    held: bool = False
    settled: bool = False
    cancelled: bool = False

    def complete(self) -> None:
        self.completions += 1


@dataclass
class ExpectedWait:
    """One partition of a produce request: how it must end, fixed by the first thing that decides it."""

    wait: ProduceWait
    partition: FakePartition
    epoch: int
    end: int
    acks: int
    error: ErrorCode | None = None

    def decide(self) -> None:
        if self.error is not None:
            return
        partition = self.partition
        if not partition.is_leader:
            self.error = partition.refusal
        elif partition.leader_epoch != self.epoch:
            self.error = ErrorCode.NOT_LEADER_OR_FOLLOWER
        elif (
            self.acks == ACKS_ALL
            and len(partition.in_sync_replicas) < partition.log.config.min_insync_replicas
        ):
            self.error = ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
        elif (
            partition.high_watermark if self.acks == ACKS_ALL else partition.log.recovery_point
        ) >= self.end:
            self.error = ErrorCode.NONE


@dataclass
class ExpectedProduce:
    waits: list[ExpectedWait] = field(default_factory=list)

    def holds(self) -> bool:
        for wait in self.waits:
            wait.decide()
        return all(wait.error is not None for wait in self.waits)


class Waiting(RuleBasedStateMachine):
    """Random life of a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.timers = FakeTimers()
        self.queue = DelayedQueue(self.timers)
        self.parked: list[Parked] = []
        self.produces: list[tuple[Parked, ExpectedProduce]] = []
        self.partitions = [partition_of(FakeReplicaLog()) for _ in range(2)]
        for partition in self.partitions:
            partition.log.config.min_insync_replicas = 2
            lead(partition, 2, assigned=(1, 2))

    # -- requests --------------------------------------------------------------------------------------

    @rule(
        indexes=st.lists(PARTITIONS, max_size=3), acks=st.sampled_from([1, ACKS_ALL]), timeout_ms=TIMEOUTS_MS
    )
    def produce(self, indexes: list[int], acks: int, timeout_ms: int) -> None:
        expected = ExpectedProduce()
        for partition in (self.partitions[index] for index in indexes):
            if not partition.is_leader or (acks == ACKS_ALL and partition.is_under_min_in_sync):
                continue
            result = append(partition, 2, acks)
            end = result.last_offset + 1 if acks == ACKS_ALL else result.flush_to
            wait = ProduceWait(partition, result, acks)
            expected.waits.append(ExpectedWait(wait, partition, partition.leader_epoch, end, acks))
        parked = self._new(expected.holds, timeout_ms)
        self.produces.append((parked, expected))
        waits = [expected_wait.wait for expected_wait in expected.waits]
        parked.delayed = self.queue.park_produce(waits, timeout_ms, parked.complete)
        self._wake(*indexes)

    @rule(
        indexes=st.lists(PARTITIONS, max_size=3, unique=True),
        bytes_min=st.sampled_from([1, 3, 6]),
        bytes_max=st.sampled_from([4, 100]),
        behind=st.integers(0, 2),
        isolation=st.sampled_from([READ_UNCOMMITTED, READ_COMMITTED]),
        replica_id=st.sampled_from([-1, 2]),
        timeout_ms=TIMEOUTS_MS,
    )
    def fetch(
        self,
        indexes: list[int],
        bytes_min: int,
        bytes_max: int,
        behind: int,
        isolation: int,
        replica_id: int,
        timeout_ms: int,
    ) -> None:
        waits: list[FetchWait] = []
        terms: list[int] = []
        for partition in (self.partitions[index] for index in indexes):
            if partition.is_leader:
                bound = partition.read_bound(isolation, replica_id)
                offset = max(bound - behind, partition.log.log_start_offset)
                waits.append(FetchWait(partition, offset, bytes_max))
                terms.append(partition.leader_epoch)

        def holds() -> bool:
            readable = 0
            for wait, term in zip(waits, terms, strict=True):
                partition = wait.partition
                if not partition.is_leader or partition.leader_epoch != term:
                    return True
                if partition.log.log_start_offset > wait.offset:
                    return True
                new = max(partition.read_bound(isolation, replica_id) - wait.offset, 0)
                readable += min(new, bytes_max)
            return readable >= bytes_min

        parked = self._new(holds, timeout_ms)
        parked.delayed = self.queue.park_fetch(
            list(waits),
            timeout_ms,
            parked.complete,
            bytes_min=bytes_min,
            isolation=isolation,
            replica_id=replica_id,
            measure=lambda wait, bound: min(bound - wait.offset, wait.bytes_max),
        )

    @precondition(lambda self: self.parked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        parked = data.draw(st.sampled_from(self.parked))
        assert parked.delayed is not None
        self.queue.cancel(parked.delayed)
        parked.cancelled = parked.cancelled or not parked.completions

    # -- events ----------------------------------------------------------------------------------------

    @rule(index=PARTITIONS, records=st.integers(1, 2), flush=st.booleans())
    def append(self, index: int, records: int, flush: bool) -> None:
        partition = self.partitions[index]
        if partition.is_leader:
            partition.log.flush_demanded = flush
            append(partition, records, acks=1)
            self._wake(index)

    @rule(index=PARTITIONS, lag=st.integers(0, 4))
    def replicate(self, index: int, lag: int) -> None:
        partition = self.partitions[index]
        if partition.is_leader:
            partition.update_follower(2, max(partition.log.log_end_offset - lag, 0))
            self._wake(index)

    @rule(index=PARTITIONS, lag=st.integers(0, 4))
    def flush(self, index: int, lag: int) -> None:
        log = self.partitions[index].log
        log.recovery_point = max(log.recovery_point, log.log_end_offset - lag)
        self.partitions[index].log_flushed()
        self._wake(index)

    @rule(index=PARTITIONS)
    def idle_wake(self, index: int) -> None:
        self._wake(index)

    @rule(index=PARTITIONS, shrink=st.booleans())
    def change_in_sync(self, index: int, shrink: bool) -> None:
        partition = self.partitions[index]
        if partition.is_leader:
            followers = () if shrink else (2,)
            lead(
                partition,
                *followers,
                epoch=partition.leader_epoch,
                partition_epoch=partition.partition_epoch + 1,
                assigned=(1, 2),
            )
            self._wake(index)

    @rule(index=PARTITIONS, leader=st.booleans())
    def elect(self, index: int, leader: bool) -> None:
        partition = self.partitions[index]
        if leader:
            lead(partition, 2, epoch=partition.leader_epoch + 1, partition_epoch=partition.partition_epoch)
        else:
            follow(partition, epoch=partition.leader_epoch + 1, partition_epoch=partition.partition_epoch)
        self._wake(index)

    @rule(index=PARTITIONS)
    def decide_or_begin_transaction(self, index: int) -> None:
        partition = self.partitions[index]
        producers = partition.log.producers
        producers.first_unstable_offset = (
            partition.high_watermark if producers.first_unstable_offset is None else None
        )
        self._wake(index)

    @rule(index=PARTITIONS, records=st.integers(1, 3))
    def delete_records(self, index: int, records: int) -> None:
        partition = self.partitions[index]
        log = partition.log
        log.log_start_offset = min(log.log_start_offset + records, partition.high_watermark)
        self._wake(index)

    @rule(ms=st.sampled_from([1, 4, 10, 500]))
    def let_time_pass(self, ms: int) -> None:
        self.timers.advance(ms)

    # -- what must hold ----------------------------------------------------------------------------------

    @invariant()
    def each_ends_exactly_when_it_should(self) -> None:
        self._evaluate()
        for parked in self.parked:
            if parked.cancelled:
                assert parked.completions == 0
            elif parked.held or parked.deadline < self.timers.now:
                assert parked.completions == 1
            elif parked.deadline > self.timers.now + SLACK_S:
                assert parked.completions == 0
            else:  # due in this instant: the timer may still have to fire
                assert parked.completions <= 1

    @invariant()
    def each_partition_has_the_code_it_should(self) -> None:
        for parked, expected in self.produces:
            if parked.completions:
                for wait in expected.waits:
                    code = ErrorCode.REQUEST_TIMED_OUT if wait.error is None else wait.error
                    assert wait.wait.error is code

    @invariant()
    def nothing_else_is_kept(self) -> None:
        waiting = sum(not parked.completions and not parked.cancelled for parked in self.parked)
        assert len(self.queue) == waiting
        if not waiting:
            assert not self.queue._watches
        assert len(self.timers.live) <= 1

    # -- helpers -----------------------------------------------------------------------------------------

    def _new(self, holds: Callable[[], bool], timeout_ms: int) -> Parked:
        parked = Parked(holds, self.timers.now + timeout_ms / 1000)
        self.parked.append(parked)
        return parked

    def _wake(self, *indexes: int) -> None:
        for index in indexes:
            self.queue.partition_moved(self.partitions[index])

    def _evaluate(self) -> None:
        """Note whose condition holds now; those of requests that ended before do not matter any more."""
        for parked in self.parked:
            if not parked.settled and not parked.cancelled:
                parked.held = parked.held or parked.holds()
                parked.settled = parked.completions > 0


TestWaiting = Waiting.TestCase
TestWaiting.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)

"""A random but repeatable life of one node's storage, on a faulty file system.

Each step is one thing that a broker does: append (plain, idempotent, transactional, as a follower), flush with
appends between plan and result, roll, retention, record deletion, truncation, checkpoints written late, creating and
deleting topics, killing the process, stopping it cleanly. Around each step the model is told what may be half done.

The same seed gives the same file operations, so a number of one of them names a moment.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.control_records import end_txn_marker
from protocol.record_builder import build_batch
from protocol.records import HEADER, Record, read_header
from protocol.types import TopicPartition
from storage.checkpoint import RECOVERY_POINTS, read_offsets
from storage.config import NO_LIMIT, LogConfig
from storage.directories.manager import LogManager
from storage.errors import DirectoryRefused, NoSpace, StorageFailure
from storage.fs.faulty import FaultyFileSystem
from storage.log import AppendOrigin, Log
from tests.simulation.storage.checks import DATA, check_log, open_node, read
from tests.simulation.storage.model import NodeModel, PartitionModel

TOPICS = ("orders", "payments", "a.topic_with-a-long.name")
_PRODUCERS = (1, 2, 3)
_ATTEMPTS = 10
_TRANSACTIONAL_PRODUCERS = (101, 102)


@dataclass(slots=True)
class Producer:
    """A client's view of its own sequences on one partition."""

    producer_id: int
    epoch: int = 0
    next_sequence: int = 0
    in_transaction: bool = False


@dataclass(slots=True)
class Pending:
    """A plan that was made and will run a few steps later; `finish` is what the owner's thread does then."""

    run: Callable[[], None]
    finish: Callable[[], None]
    owner: Log | None = None


@dataclass(slots=True)
class Replica:
    """A live log, its model, and its producers."""

    log: Log
    model: PartitionModel
    producers: dict[int, Producer] = field(default_factory=dict)


class Workload:
    """Call `run`; `fs.after` and `fs.before` are the caller's to set."""

    def __init__(self, fs: FaultyFileSystem, seed: int) -> None:
        self.fs = fs
        self.node = NodeModel()
        self.now_ms = 1_700_000_000_000
        self.operations = 0
        self.refused = 0
        """How many steps a full disk refused."""
        self.steps: list[str] = []
        """What was done so far, for a report."""
        self._choose = random.Random(seed)
        self._pending: list[Pending] = []
        self._replicas: dict[TopicPartition, Replica] = {}
        self._topics_made = 0
        self._deletions = 0
        self._manager: LogManager | None = None

    @property
    def manager(self) -> LogManager:
        assert self._manager is not None
        return self._manager

    def run(self, operations: int) -> None:
        """Lives until that many file operations are done, then stops cleanly and comes back once."""
        self.operations = operations
        self.start()
        while not self._replicas:
            self._do(self.create_topic)
        while self.fs.operations < operations:
            self.step()
        self.stop_and_reopen()

    def start(self) -> None:
        """Opens the node; where the disk is full it takes a few attempts."""
        for _ in range(_ATTEMPTS):
            try:
                self._manager, report = open_node(self.fs, self.node, self.now_ms)
            except (NoSpace, DirectoryRefused) as error:
                if "No space" not in str(error):
                    raise
                self.refused += 1
                continue
            if not report.failed:
                return
            assert all("No space" in reason for reason in report.failed.values()), report.failed
            self.refused += 1
            self.manager.release()
        raise AssertionError("the node does not start")

    def step(self) -> None:
        """One random step, and the acknowledgements that it led to."""
        self.now_ms += self._choose.randrange(500)
        self.fs.now_ms = self.now_ms
        if not self._replicas:  # a full disk refused to make the only topic again
            self._do(self.create_topic)
            return
        actions, weights = zip(*self.weighted_actions(), strict=True)
        action = self._choose.choices(actions, weights)[0]
        self.steps.append(f"operation {self.fs.operations + 1}: {action.__name__}")
        self._do(action)

    def _do(self, action: Callable[[], None]) -> None:
        """One step; it may be refused for want of space."""
        try:
            action()
        except NoSpace:
            self._check_refusal(follower=action == self.append_as_follower)
        for replica in self._replicas.values():
            replica.model.acknowledge(replica.log.recovery_point)

    def weighted_actions(self) -> list[tuple[Callable[[], None], int]]:
        return [
            (self.append_plain, 14),
            (self.append_idempotent, 14),
            (self.append_transactional, 8),
            (self.append_as_follower, 4),
            (self.raise_leader_epoch, 3),
            (self.begin_flush, 14),
            (self.finish_pending, 16),
            (self.begin_checkpoint, 5),
            (self.roll, 3),
            (self.retention, 4),
            (self.delete_records, 2),
            (self.truncate, 2),
            (self.read_somewhere, 3),
            (self.create_topic, 2),
            (self.delete_topic, 1),
            (self.make_topic_again, 2),
            (self.kill_and_reopen, 1),
            (self.stop_and_reopen, 1),
        ]

    def _check_refusal(self, *, follower: bool) -> None:
        """A full disk refuses a step: what was there still is, and what was refused is not, not even in part."""
        self.refused += 1
        for replica in self._replicas.values():
            log, model = replica.log, replica.model
            assert follower or log.log_end_offset == model.end_offset, f"{log} took what it refused"
            model.start_offset_max = max(model.start_offset_max, log.log_start_offset)
            model.batches = check_log(log, model)
            model.end_offset = log.log_end_offset
            model.move_start(log.log_start_offset)
            self._resume_producers(replica)

    # -- appends --

    def append_plain(self) -> None:
        self._append(self._any(), self._records())

    def append_idempotent(self) -> None:
        replica = self._any()
        producer = self._producer(replica, self._choose.choice(_PRODUCERS))
        if self._choose.random() < 0.1:
            producer.epoch += 1
            producer.next_sequence = 0
        self._append_of(replica, producer, transactional=False)

    def append_transactional(self) -> None:
        """A batch of a transaction, or the marker that ends it."""
        replica = self._any()
        producer = self._producer(replica, self._choose.choice(_TRANSACTIONAL_PRODUCERS))
        if producer.in_transaction and self._choose.random() < 0.5:
            marker = end_txn_marker(
                committed=self._choose.random() < 0.5,
                producer_id=producer.producer_id,
                producer_epoch=producer.epoch,
                coordinator_epoch=0,
                timestamp_ms=self.now_ms,
            )
            self._append(replica, marker, AppendOrigin.COORDINATOR)
            producer.in_transaction = False
        else:
            self._append_of(replica, producer, transactional=True)
            producer.in_transaction = True

    def append_as_follower(self) -> None:
        """Several batches at once, as a leader sent them."""
        replica = self._any()
        sent = bytearray()
        offset = replica.log.log_end_offset
        for _ in range(self._choose.randint(1, 3)):
            batch = self._stamped(self._records(), offset, replica.model.leader_epoch)
            offset = read_header(batch).last_offset + 1
            replica.model.will_write(batch)
            sent += batch
        replica.log.append_replica(sent)
        for batch in sorted(_split(bytes(sent)), key=lambda data: read_header(data).base_offset):
            replica.model.wrote(batch)

    def raise_leader_epoch(self) -> None:
        self._any().model.leader_epoch += self._choose.randint(1, 3)

    def _append_of(self, replica: Replica, producer: Producer, *, transactional: bool) -> None:
        batch = self._records(
            producer_id=producer.producer_id,
            producer_epoch=producer.epoch,
            base_sequence=producer.next_sequence,
            transactional=transactional,
        )
        count = read_header(batch).record_count
        retry = bytearray(batch)
        self._append(replica, batch)
        producer.next_sequence += count
        if self._choose.random() < 0.2:
            result = replica.log.append(retry, leader_epoch=replica.model.leader_epoch, now_ms=self.now_ms)
            assert result.duplicate and result.base_offset == replica.model.end_offset - count

    def _append(self, replica: Replica, batch: bytearray, origin: AppendOrigin = AppendOrigin.CLIENT) -> None:
        log, model = replica.log, replica.model
        expected = self._stamped(batch, log.log_end_offset, model.leader_epoch)
        model.will_write(expected)
        result = log.append(batch, leader_epoch=model.leader_epoch, now_ms=self.now_ms, origin=origin)
        assert (result.base_offset, result.duplicate) == (model.end_offset, False)
        assert bytes(batch) == expected
        model.wrote(expected)

    def _records(self, **producer: int) -> bytearray:
        count = self._choose.randint(1, 4)
        records = [
            Record(
                index,
                self.now_ms - self._choose.randrange(2000),
                b"key",
                self._choose.randbytes(self._choose.choice((5, 30, 100, 400))),
            )
            for index in range(count)
        ]
        return build_batch(records, **producer)  # type: ignore[arg-type]

    def _stamped(self, batch: bytearray, base_offset: int, leader_epoch: int) -> bytes:
        """The batch as the log will store it."""
        header = read_header(batch)._replace(base_offset=base_offset, leader_epoch=leader_epoch)
        return HEADER.pack(*header) + bytes(batch[HEADER.size :])

    def _producer(self, replica: Replica, producer_id: int) -> Producer:
        return replica.producers.setdefault(producer_id, Producer(producer_id))

    # -- plans --

    def begin_flush(self) -> None:
        """At most one flush of a log is under way; appends go on meanwhile."""
        log = self._any().log
        if any(pending.owner is log for pending in self._pending):
            return
        plan = log.flush_plan()
        self._pending.append(Pending(plan.run, lambda: log.flushed(plan), log))

    def begin_checkpoint(self) -> None:
        starts = {replica.model.topic_id: replica.log.log_start_offset for replica in self._replicas.values()}
        deletions = self._deletions
        for plan in self.manager.checkpoint_plans(self._high_watermarks()):
            self._pending.append(Pending(plan.run, lambda: self._checkpointed(starts, deletions)))

    def _checkpointed(self, starts: dict[bytes, int], deletions: int) -> None:
        if deletions != self._deletions:
            return  # a plan made before a deletion leaves the writing to the plan of that
        for replica in self._replicas.values():
            model = replica.model
            model.start_offset_min = max(model.start_offset_min, starts.get(model.topic_id, 0))

    def finish_pending(self) -> None:
        if self._pending:
            pending = self._pending.pop(self._choose.randrange(len(self._pending)))
            try:
                pending.run()
            except NoSpace:
                self.refused += 1
            except StorageFailure as failure:
                # As a broker does. It means nothing where the plan's partition was deleted meanwhile.
                self.manager.fail(failure)
                if not self.manager.directories[0].is_online:
                    raise
            else:
                pending.finish()

    # -- segments --

    def roll(self) -> None:
        self._any().log.roll(self.now_ms)

    def retention(self) -> None:
        """Below a high watermark that may lag."""
        watermarks = {
            partition: offset - self._choose.choice((0, 0, 3))
            for partition, offset in self._high_watermarks().items()
        }
        for replica in self._replicas.values():
            replica.model.start_offset_max = replica.log.log_end_offset
        result = self.manager.housekeeping(self.now_ms, watermarks)
        assert all(isinstance(failure, NoSpace) for _, failure in result.failures), result.failures
        for replica in self._replicas.values():
            replica.model.move_start(replica.log.log_start_offset)
        self._pending += [Pending(plan.run, _nothing) for plan in result.plans]

    def delete_records(self) -> None:
        replica = self._any()
        log = replica.log
        offset = self._choose.randint(log.log_start_offset, log.log_end_offset)
        replica.model.start_offset_max = max(offset, replica.model.start_offset)
        log.advance_log_start_offset(offset)
        replica.model.move_start(log.log_start_offset)

    def truncate(self) -> None:
        """As a follower does whose leader has less; its producers are the leader's matter."""
        replica = self._any()
        log, model = replica.log, replica.model
        ends = [batch.base_offset for batch in model.batches if batch.base_offset >= log.log_start_offset]
        if not ends:
            return
        offset = self._choose.choice(ends[-3:])
        model.will_truncate(offset)
        self.manager.truncate_log(model.topic_partition, offset, self.now_ms, self._high_watermarks())
        model.truncated(offset)
        replica.producers.clear()
        self._resume_producers(replica)

    def read_somewhere(self) -> None:
        replica = self._any()
        log = replica.log
        if log.log_start_offset == log.log_end_offset:
            return
        offset = self._choose.randrange(log.log_start_offset, log.log_end_offset)
        result = read(log, offset, self._choose.choice((1, 500, 5000)))
        assert result.region is not None
        expected = b"".join(
            batch.data
            for batch in replica.model.batches
            if batch.end_offset > offset and batch.end_offset <= result.next_offset
        )
        assert result.region.read() == expected

    # -- topics --

    def create_topic(self) -> None:
        partition = TopicPartition(self._choose.choice(TOPICS), self._choose.randrange(2))
        if partition not in self._replicas and len(self._replicas) < 4:
            self._create(partition)

    def _create(self, partition: TopicPartition) -> None:
        self._topics_made += 1
        config = LogConfig(
            segment_bytes=self._choose.choice((2000, 3500)),
            index_interval_bytes=self._choose.choice((1, 300)),
            segment_index_bytes=self._choose.choice((64, 10 << 20)),
            retention_bytes=self._choose.choice((-1, 4000)),
            retention_ms=self._choose.choice((5000, 1 << 40)),
            flush_messages=self._choose.choice((1, 5, NO_LIMIT)),
            file_delete_delay_ms=0,
        )
        model = PartitionModel(partition, self._topics_made.to_bytes(16, "big"), config)
        self.node.live[partition] = model
        try:
            log = self.manager.create_log(partition, model.topic_id, config, self.now_ms)
        except NoSpace:
            del self.node.live[partition]
            raise
        self._replicas[partition] = Replica(log, model)

    def delete_topic(self) -> None:
        if len(self._replicas) > 1:
            self._delete(self._any())

    def make_topic_again(self) -> None:
        """Deletes a topic and creates one of its name at once, as tests do."""
        replica = self._any()
        self._delete(replica)
        self._create(replica.model.topic_partition)

    def _delete(self, replica: Replica) -> None:
        self._deletions += 1
        partition = replica.model.topic_partition
        del self.node.live[partition]
        del self._replicas[partition]
        self._pending = [pending for pending in self._pending if pending.owner is not replica.log]
        removal = self.manager.remove_log(partition, self.now_ms)
        self._pending += [
            Pending(plan.run, _nothing) for plan in self.manager.checkpoint_plans(self._high_watermarks())
        ]
        if removal is not None:
            self._pending.append(Pending(removal.run, _nothing))

    # -- restarts --

    def kill_and_reopen(self) -> None:
        """kill -9: nothing is flushed, and the page cache survives."""
        self._pending.clear()
        self.manager.release()
        self._reopen(clean=False)

    def stop_and_reopen(self) -> None:
        self._reopen(clean=self.stop())

    def stop(self) -> bool:
        """SIGTERM: plans under way end, the rest never runs. Returns whether all was vouched for."""
        self._pending = self._pending[: len(self._pending) // 2]
        while self._pending:
            self.finish_pending()
        failures = self.manager.close(self._high_watermarks())
        for failure in failures:
            if not isinstance(failure, NoSpace):
                raise failure
        for replica in self._replicas.values() if not failures else ():
            replica.model.acknowledge(replica.model.end_offset)
        return not failures

    def leave_a_tail(self) -> None:
        """In each log something flushed and checkpointed, and something that is neither."""
        for _ in range(2):
            for replica in self._replicas.values():
                for _ in range(3):
                    self._append(replica, self._records())
                plan = replica.log.flush_plan()
                plan.run()
                replica.log.flushed(plan)
            for checkpoint in self.manager.checkpoint_plans(self._high_watermarks()):
                checkpoint.run()
        for replica in self._replicas.values():
            for _ in range(3):
                self._append(replica, self._records())

    def checkpointed_recovery_points(self) -> dict[TopicPartition, int]:
        return read_offsets(self.fs, f"{DATA}/{RECOVERY_POINTS}")

    def _reopen(self, *, clean: bool) -> None:
        self.start()
        assert self.manager.logs.keys() == self._replicas.keys()
        for partition, replica in self._replicas.items():
            model = replica.model
            log = replica.log = self.manager.log(partition)
            assert log.log_end_offset == model.end_offset, f"{partition} ends at {log.log_end_offset}"
            held = check_log(log, model)
            assert [batch.data for batch in held[len(held) - len(model.batches) :]] == [
                batch.data for batch in model.batches
            ]
            # A start that was not checkpointed may have moved back to where the first segment begins.
            model.batches = held
            model.move_start(log.log_start_offset)
            assert not clean or log.recovery_point == log.log_end_offset

    def _resume_producers(self, replica: Replica) -> None:
        """What the clients of a new leader would learn: where each of them stands."""
        for producer_id, state in replica.log.producers.producers.items():
            replica.producers[producer_id] = Producer(
                producer_id, state.epoch, state.next_sequence, state.txn_first_offset >= 0
            )

    # -- helpers --

    def _any(self) -> Replica:
        return self._choose.choice(list(self._replicas.values()))

    def _high_watermarks(self) -> dict[TopicPartition, int]:
        return {partition: replica.log.log_end_offset for partition, replica in self._replicas.items()}


def _nothing() -> None:
    return None


def _split(data: bytes) -> list[bytes]:
    batches = []
    while data:
        size = read_header(data).size_bytes
        batches.append(data[:size])
        data = data[size:]
    return batches

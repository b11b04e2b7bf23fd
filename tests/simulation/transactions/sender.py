"""The part of a producer that writes batches, as Java's does: sequences, five in flight, retries, and their end.

    put ──► unsent ──► in flight (a sequence is assigned) ─┬─► acknowledged
                            ▲                └─ error ──┐  └─► failed: refused for good, or its time is up
                            └──────── retried, in order ┘

A batch that was sent and whose time is up leaves its sequence unresolved: it may be in the log, or get there late.
Until that is known nothing new is written to the partition.
Source: Kafka clients, Sender.java, RecordAccumulator.java, TxnPartitionMap.java, TransactionManager.java.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.types import TimestampMs, TopicPartition
from tests.simulation.common.network import Connection, Exchange, Server
from tests.simulation.common.process import Process
from tests.simulation.transactions.data_server import Produce
from tests.simulation.transactions.records import Written, build_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.transactions.simulation import Simulation
    from tests.simulation.transactions.truth import Transaction

IN_FLIGHT_MAX = 5
REQUEST_TIMEOUT_MS = 4_000
DELIVERY_TIMEOUT_MS = 12_000
BACKOFF_MS = 100
BACKOFF_MS_MAX = 1_000


class Identity(NamedTuple):
    """As whom it writes."""

    producer_id: int
    epoch: int


class Batch:
    """Records for one partition, on their way."""

    def __init__(
        self,
        partition: TopicPartition,
        values: list[Written],
        transaction: Transaction,
        created_ms: TimestampMs,
    ) -> None:
        self.partition = partition
        self.values = values
        self.transaction = transaction
        self.created_ms = created_ms
        self.identity: Identity | None = None
        self.base_sequence = -1
        self.done = False
        self.is_out = False
        """Its request is not answered."""
        self.retry_ms: TimestampMs | None = None
        """When it may be sent again; None while it was never refused."""
        self.attempts = 0
        self.was_reset = False
        """Its sequence was assigned anew."""

    @property
    def last_sequence(self) -> int:
        return self.base_sequence + len(self.values) - 1

    def reset(self, identity: Identity, base_sequence: int) -> None:
        self.transaction.rewritten.update(self.values)
        self.identity = identity
        self.base_sequence = base_sequence
        self.was_reset = True


class Entry:
    """What it keeps of one partition."""

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.next_sequence = 0
        self.last_acknowledged = -1
        self.in_flight: list[Batch] = []
        """By sequence; those that wait for another attempt, too."""
        self.unsent: deque[Batch] = deque()
        self.unresolved: int | None = None
        """The sequence behind the last batch of which it is not known whether it was written."""

    def begin_sequences(self, identity: Identity) -> None:
        """Begin at 0 as somebody else; what is in flight is written anew."""
        sequence = 0
        for batch in self.in_flight:
            batch.reset(identity, sequence)
            sequence += len(batch.values)
        self.identity = identity
        self.next_sequence = sequence
        self.last_acknowledged = -1


class Sender(Process):
    """A producer's process, but for transactions."""

    def __init__(self, sim: Simulation, name: str) -> None:
        super().__init__(sim.clock, sim.choose)
        self.sim = sim
        self.name = name
        self.identity: Identity | None = None
        self.entries: dict[TopicPartition, Entry] = {}
        self.failed: ErrorCode | None = None
        """The last error that was not to be mended by trying again."""
        self._connections: dict[Server, Connection] = {}

    def __repr__(self) -> str:
        return self.name

    # -- requests ----------------------------------------------------------------------------------------------

    def connection(self, server: Server) -> Connection:
        connection = self._connections.get(server)
        if connection is None or connection.known_broken:
            connection = Connection(self.sim.network, server, self.name, self.run)
            self._connections[server] = connection
        return connection

    def request(
        self, server: Server, request: Message, version: int, then: Callable[[Any], None], about: Any
    ) -> Exchange:
        """Send; `then` gets None when the connection breaks, or when the answer takes too long."""
        connection = self.connection(server)
        exchange = connection.send(request, version, then)
        exchange.about = about
        self.later(REQUEST_TIMEOUT_MS, _give_up, connection, exchange)
        return exchange

    def crash(self) -> None:
        super().crash()
        self.break_connections()

    def break_connections(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def lose_connection(self, server: Server) -> None:
        """The server is gone, with what it had not answered."""
        connection = self._connections.get(server)
        if connection is not None:
            connection.close()

    def start(self) -> None:
        raise NotImplementedError

    # -- what it is used for -----------------------------------------------------------------------------------

    def entry(self, partition: TopicPartition) -> Entry:
        entry = self.entries.get(partition)
        if entry is None:
            entry = self.entries[partition] = Entry()
        return entry

    def put(self, partition: TopicPartition, values: list[Written], transaction: Transaction) -> None:
        batch = Batch(partition, values, transaction, self.sim.clock.now_ms)
        transaction.sent(partition, values)
        self.entry(partition).unsent.append(batch)
        self.later(DELIVERY_TIMEOUT_MS, self._expire, batch)
        self.soon_work()

    @property
    def has_incomplete(self) -> bool:
        return any(entry.in_flight or entry.unsent for entry in self.entries.values())

    def soon_work(self) -> None:
        self.later(0, self.work)

    def work(self) -> None:
        """Do what can be done now; called after everything that happens."""
        raise NotImplementedError

    def drain(self) -> None:
        """Send what may be sent."""
        for partition, entry in self.entries.items():
            server = self.sim.data[partition]
            while self._next(partition, entry, server):
                pass

    def in_flight_max(self, entry: Entry) -> int:
        return IN_FLIGHT_MAX

    def may_send(self, partition: TopicPartition) -> bool:
        """Whether batches may go to the partition."""
        return True

    def _next(self, partition: TopicPartition, entry: Entry, server: Server) -> bool:
        """Send one more batch; whether there was one to be sent."""
        if not self.may_send(partition) or self.connection(server).in_flight >= self.in_flight_max(entry):
            return False
        waiting = next((batch for batch in entry.in_flight if not batch.is_out), None)
        if waiting is not None:
            # One at a time, and nothing new meanwhile: they stay in order.
            assert waiting.retry_ms is not None
            if waiting is not entry.in_flight[0] or waiting.retry_ms > self.sim.clock.now_ms:
                return False
            self._send(waiting, server)
            return True
        if not entry.unsent or self.identity is None or entry.unresolved is not None:
            return False
        if entry.identity != self.identity and not entry.in_flight:
            entry.begin_sequences(self.identity)
        # Of the partition, too: a connection that has just broken has nothing in flight.
        if entry.identity != self.identity or len(entry.in_flight) >= self.in_flight_max(entry):
            return False
        batch = entry.unsent.popleft()
        batch.identity = self.identity
        batch.base_sequence = entry.next_sequence
        entry.next_sequence += len(batch.values)
        entry.in_flight.append(batch)
        self._send(batch, server)
        return True

    def produce_version(self) -> int:
        raise NotImplementedError

    def transactional_id(self) -> str | None:
        return None

    def _send(self, batch: Batch, server: Server) -> None:
        assert batch.identity is not None
        records = build_batch(
            batch.values,
            producer_id=batch.identity.producer_id,
            producer_epoch=batch.identity.epoch,
            base_sequence=batch.base_sequence,
            transactional=self.transactional_id() is not None,
            now_ms=self.sim.clock.now_ms,
        )
        request = Produce(records, *batch.identity, batch.base_sequence, self.transactional_id())
        batch.is_out = True

        def produced(outcome: Any) -> None:
            self._produced(batch, outcome)

        self.request(server, request, self.produce_version(), produced, batch.transaction)

    # -- answers -----------------------------------------------------------------------------------------------

    def _produced(self, batch: Batch, outcome: Any) -> None:
        batch.is_out = False
        code = ErrorCode.NETWORK_EXCEPTION if outcome is None else outcome
        entry = self.entry(batch.partition)
        if code is ErrorCode.NONE:
            entry.last_acknowledged = max(entry.last_acknowledged, batch.last_sequence)
            if not batch.done:
                batch.done = True
                batch.transaction.acknowledged(batch.partition, batch.values)
            _remove(entry, batch)
        elif not batch.done:
            if self._may_retry(batch, entry, code):
                batch.attempts += 1
                backoff_ms = min(BACKOFF_MS << batch.attempts, BACKOFF_MS_MAX)
                batch.retry_ms = self.sim.clock.now_ms + backoff_ms
                self.later(backoff_ms, self.work)
            elif code.retriable:
                self._time_is_up(batch, code)
            else:
                self.fail_batch(batch, code, adjust=True)
        self.work()

    def _may_retry(self, batch: Batch, entry: Entry, code: ErrorCode) -> bool:
        if self.sim.clock.now_ms >= batch.created_ms + DELIVERY_TIMEOUT_MS:
            return False
        if code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            is_next = batch.base_sequence == entry.last_acknowledged + 1
            if entry.unresolved is None and (batch.was_reset or not is_next):
                return True
            return self.retries_out_of_order(batch, entry)
        return code.retriable

    def retries_out_of_order(self, batch: Batch, entry: Entry) -> bool:
        """Whether a gap in the log is mended by trying again."""
        return False

    def _expire(self, batch: Batch) -> None:
        if not batch.done:
            self.sim.checker.count("batch expired")
            self._time_is_up(batch, ErrorCode.REQUEST_TIMED_OUT)
            self.work()

    def _time_is_up(self, batch: Batch, code: ErrorCode) -> None:
        """Give a batch up that may be written, and keep its sequence.

        So does Java's when it finds by itself that the time is up. When it finds so because an attempt has failed, it
        takes the sequence back (Sender.completeBatch; only retries count there, and they never run out). Below
        transaction version 2 a commit that fails like that is aborted in the same epoch, and what the next transaction
        writes with that sequence passes for a repeat: it is acknowledged, and lost. No partition can know.
        """
        entry = self.entry(batch.partition)
        was_retried = batch.retry_ms is not None
        self.fail_batch(batch, code, adjust=False)
        if was_retried:
            behind = batch.last_sequence + 1
            entry.unresolved = max(entry.unresolved or 0, behind)

    def fail_batch(self, batch: Batch, code: ErrorCode, *, adjust: bool) -> None:
        batch.done = True
        batch.transaction.failed = True
        entry = self.entry(batch.partition)
        if batch in entry.unsent:
            entry.unsent.remove(batch)
        had_sequence = _remove(entry, batch)
        self.batch_failed(batch, code)
        if adjust and had_sequence:
            self.adjust_sequences(batch, entry)

    def batch_failed(self, batch: Batch, code: ErrorCode) -> None:
        raise NotImplementedError

    def adjust_sequences(self, batch: Batch, entry: Entry) -> None:
        """A batch is refused for good: those behind it take its place."""
        entry.next_sequence -= len(batch.values)
        for other in entry.in_flight:
            if other.base_sequence > batch.base_sequence and other.identity is not None:
                other.reset(other.identity, other.base_sequence - len(batch.values))

    def drop_unsent(self) -> None:
        """What has no sequence yet is given up with its transaction."""
        for entry in self.entries.values():
            for batch in entry.unsent:
                batch.done = True
                batch.transaction.failed = True
            entry.unsent.clear()

    def resolve_sequences(self) -> None:
        """Where nothing is in flight any more, what came of an expired batch is known, or never will be."""
        for entry in self.entries.values():
            if entry.unresolved is not None and not entry.in_flight:
                entry.unresolved = None
                if entry.next_sequence != entry.last_acknowledged + 1:
                    self.sequences_lost(entry)

    def sequences_lost(self, entry: Entry) -> None:
        raise NotImplementedError


def _remove(entry: Entry, batch: Batch) -> bool:
    if batch in entry.in_flight:
        entry.in_flight.remove(batch)
        return True
    return False


def _give_up(connection: Connection, exchange: Exchange) -> None:
    if connection.waits_for(exchange):
        connection.abandon()

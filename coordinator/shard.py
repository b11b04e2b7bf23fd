"""The contract between a coordinator's state machine and what runs it.

A shard owns what one partition of an internal topic says: of `__consumer_offsets`, the groups whose ids hash to it; of
`__transaction_state`, the transactional ids.

    call, timer, news ──► decide ──► Effects ─┬─ records ────────► append ──► replay, one by one ──► committed
                                              ├─ answers, sends ──────────── parked until then ──────┘──► sent
                                              └─ timers ─► come back as TimerFired      sends ─► as MarkersAnswered

- `decide` proposes; `replay` disposes. Hard state, what a restart must find again, is changed by `replay` alone, so
  serving and recovery share one code path. Soft state (who waits, sessions, a rebalance under way) is `decide`'s; it is
  lost with the leadership of the partition, and clients come back by themselves.
- The records of one `decide` are one batch: all or nothing. They are replayed at once, before they are committed; so
  every answer, that of a read, too, waits until all that the shard has written so far is committed.
- Nothing is rolled back: a shard whose leadership ends is dropped, and built anew by replay where it leads next.
- `decide` changes no hard state and promises nothing before its records are appended. When they cannot be, none
  of its effects happens, its calls are refused, and the shard gets `AppendRefused`.
- A send tells others what was decided, so it, too, waits until that is committed. What comes of it is one more event.
  It is lost with the leadership: `on_loaded` sends again what the state shows to be unfinished.
- A timer is one more event. Setting a key again moves it. It may fire late, never early.

Source: KIP-848 (coordinator runtime); Kafka coordinator-common, CoordinatorRuntime.java, CoordinatorShard.java.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple, Protocol, TypeAlias

from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.types import Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition

Waiter: TypeAlias = object
"""Whoever waits for an answer: opaque, handed back as it came."""

TimerKey: TypeAlias = tuple[Hashable, ...]
"""What a timer is for: its kind first, then what it concerns."""


class Caller(NamedTuple):
    """Who asks."""

    version: int
    """Of the request; what its answer may say depends on it."""
    client_id: str
    client_host: str
    """As Kafka writes it: `/127.0.0.1`."""


class Call(NamedTuple):
    """A request to this shard."""

    request: Message
    caller: Caller
    waiter: Waiter


class TimerFired(NamedTuple):
    """The time of a timer has come; it is set no more."""

    key: TimerKey


class TopicsChanged(NamedTuple):
    """Topics were created, deleted, or grew; the catalog has the news already."""

    deleted: tuple[str, ...]
    """Names of deleted topics; one of the same name may exist again."""
    deleted_ids: tuple[bytes, ...]
    """Their ids, in the same order."""


class EndTxnMarkers(NamedTuple):
    """A send: partitions are to be told how a transaction ended."""

    transactional_id: str
    producer_id: ProducerId
    producer_epoch: ProducerEpoch
    """As the marker is to carry it: under transaction version 2, one above that of the records."""
    committed: bool
    coordinator_epoch: int
    """Leader epoch of the partition of `__transaction_state` in which this was decided."""
    transaction_version: int
    """Under which the transaction was ended."""
    partitions: tuple[TopicPartition, ...]


class MarkersAnswered(NamedTuple):
    """What partitions said to a send."""

    markers: EndTxnMarkers
    codes: tuple[tuple[TopicPartition, ErrorCode], ...]
    """For each partition of the send. NONE: the marker is written there, and committed."""


class AppendRefused(NamedTuple):
    """The records decided for `event` could not be appended. The calls concerned were refused already."""

    event: Call | TimerFired | TopicsChanged | MarkersAnswered
    code: ErrorCode


Event: TypeAlias = Call | TimerFired | TopicsChanged | MarkersAnswered | AppendRefused


class CoordinatorRecord(NamedTuple):
    """One record of an internal topic: its key, and its value or None for a tombstone."""

    key: Message
    value: Message | None


class TransactionalProducer(NamedTuple):
    """In whose transaction records are written: they count once it commits."""

    producer_id: ProducerId
    producer_epoch: ProducerEpoch


class TransactionMarker(NamedTuple):
    """The end of a transaction, to be written to the shard's own partition: that of its records there."""

    producer: TransactionalProducer
    """With the epoch that the marker is to carry."""
    committed: bool
    coordinator_epoch: int
    transaction_version: int


class Effects:
    """What a decision amounts to. `decide` fills it, the runtime performs it."""

    __slots__ = ("answers", "producer", "records", "refusals", "sends", "timers")

    def __init__(self) -> None:
        self.records: list[CoordinatorRecord] = []
        """To be appended as one batch."""
        self.producer: TransactionalProducer | None = None
        """Whose transaction the records belong to."""
        self.answers: list[tuple[Waiter, Message]] = []
        """Sent when all that was written so far is committed."""
        self.refusals: list[tuple[Waiter, ErrorCode]] = []
        """Like `answers`; the handler that waits puts the code where its response has a place for it."""
        self.sends: list[EndTxnMarkers] = []
        """Handed over when all that was written so far is committed; answered by `MarkersAnswered`."""
        self.timers: list[tuple[TimerKey, TimestampMs | None]] = []
        """(key, when due); None takes the timer back. The last one of a key counts."""

    def record(self, key: Message, value: Message | None) -> None:
        self.records.append(CoordinatorRecord(key, value))

    def answer(self, waiter: Waiter, response: Message) -> None:
        self.answers.append((waiter, response))

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None:
        self.refusals.append((waiter, code))

    def send(self, markers: EndTxnMarkers) -> None:
        self.sends.append(markers)

    def discard(self) -> None:
        """Take back all of it."""
        self.records.clear()
        self.producer = None
        self.answers.clear()
        self.refusals.clear()
        self.sends.clear()
        self.timers.clear()

    def set_timer(self, key: TimerKey, due_ms: TimestampMs) -> None:
        self.timers.append((key, due_ms))

    def cancel_timer(self, key: TimerKey) -> None:
        self.timers.append((key, None))


class Shard(Protocol):
    """A coordinator's state machine for one partition."""

    def decide(self, event: Event, now_ms: TimestampMs, effects: Effects) -> None:
        """Fill `effects` with what the event amounts to. Expected refusals are answers; an exception is a bug."""

    def replay(
        self, record: CoordinatorRecord, offset: Offset, producer: TransactionalProducer | None
    ) -> None:
        """Take in one record at `offset`. The only writer of hard state."""

    def replay_marker(self, producer: TransactionalProducer, *, commit: bool) -> None:
        """Take in the end of a transaction: its records count from now on, or never."""

    def on_loaded(self, now_ms: TimestampMs, effects: Effects) -> None:
        """All that the log holds was replayed and this node leads: set the timers that follow from it."""

    def on_resigned(self) -> list[Waiter]:
        """The leadership is over; return all who wait in soft state. Nothing else is called afterwards."""

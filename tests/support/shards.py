"""A coordinator's shard without broker, socket or clock: what tests of groups and of transactions share.

The log is in memory and keeps records as the broker writes them, so a restart reads them back from bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from coordinator.internal_records import encode_key, encode_value
from coordinator.runtime import ShardRuntime
from coordinator.shard import (
    Call,
    Caller,
    CoordinatorRecord,
    TransactionalProducer,
    TransactionMarker,
    Waiter,
)
from protocol.codec import decode, encode_bytes
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.types import Offset, TimestampMs

START_MS = 1_700_000_000_000


class Topics:
    """A `TopicCatalog` of topics with so many partitions, without racks unless given."""

    def __init__(self, **partitions: int) -> None:
        self.partitions = dict(partitions)
        self.racks: dict[tuple[str, int], tuple[str, ...]] = {}
        self.generation: dict[str, int] = {}
        """How often a topic of the name was deleted: the next one has another id."""
        self.version: Offset = 0
        """Whoever changes topics raises it."""

    def topic_names(self) -> Collection[str]:
        return self.partitions.keys()

    def topic_id(self, name: str) -> bytes | None:
        return self._id(name) if name in self.partitions else None

    def topic_name(self, topic_id: bytes) -> str | None:
        return next((name for name in self.partitions if self._id(name) == topic_id), None)

    def partition_count(self, name: str) -> int:
        return self.partitions.get(name, 0)

    def partition_racks(self, name: str, partition: int) -> Collection[str]:
        return self.racks.get((name, partition), ())

    def _id(self, name: str) -> bytes:
        return f"{name}/{self.generation.get(name, 0)}".encode().ljust(16, b"\0")[:16]


class Written(NamedTuple):
    """One record in the log, or the end of a transaction."""

    key: bytes
    value: bytes | None
    producer: TransactionalProducer | None
    commit: bool | None = None
    """Of a marker: whether the transaction was committed."""


class MemoryWriter:
    """A `PartitionWriter`; the test holds the high watermark back or has appends refused."""

    def __init__(self, log: list[Written]) -> None:
        self.log = log
        self.high_watermark: Offset = len(log)
        self.commits_at_once = True
        self.refusal: ErrorCode | None = None

    def append(
        self,
        records: Sequence[CoordinatorRecord],
        producer: TransactionalProducer | None,
        now_ms: TimestampMs,
    ) -> Offset:
        if self.refusal is not None:
            raise BrokerError(self.refusal)
        first = len(self.log)
        self.log += [
            Written(encode_key(key), None if value is None else encode_value(value), producer)
            for key, value in records
        ]
        if self.commits_at_once:
            self.high_watermark = len(self.log)
        return first

    def append_marker(self, marker: TransactionMarker, now_ms: TimestampMs) -> Offset:
        if self.refusal is not None:
            raise BrokerError(self.refusal)
        self.log.append(Written(b"", None, marker.producer, marker.committed))
        if self.commits_at_once:
            self.high_watermark = len(self.log)
        return len(self.log) - 1


class Answer:
    """A request on its way: `response` is None until it is answered, with a message or an error code."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.response: Any = None

    def take(self, response: Message | ErrorCode) -> None:
        assert self.response is None, "answered twice"
        if isinstance(response, Message):  # what cannot be written in the version asked for is a bug
            response = decode(type(response), self.version, encode_bytes(response, self.version))
        self.response = response


class Answers:
    """The `coordinator.ports.Answers` of waiters that are each an `Answer`."""

    def answer(self, waiter: Waiter, response: Message) -> None:
        assert isinstance(waiter, Answer)
        waiter.take(response)

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None:
        assert isinstance(waiter, Answer)
        waiter.take(code)


class ShardWorld:
    """A runtime, its log and a clock; `start` of a subclass makes runtime and writer."""

    runtime: ShardRuntime
    writer: MemoryWriter

    def __init__(self, topics: Topics, now_ms: TimestampMs = START_MS) -> None:
        self.topics = topics
        self.now_ms = now_ms
        self.log: list[Written] = []

    def send(
        self,
        request: Message,
        version: int | None = None,
        *,
        client_id: str = "client",
        host: str = "/127.0.0.1",
    ) -> Answer:
        """Put a request in, of the highest version unless said otherwise."""
        answer = Answer(type(request).VERSIONS[1] if version is None else version)
        self.runtime.call(Call(request, Caller(answer.version, client_id, host), answer), self.now_ms)
        return answer

    def call(self, request: Message, version: int | None = None, **caller: str) -> Any:
        """Put a request in; return the answer: an ErrorCode where the handler is to say it, None while it waits."""
        return self.send(request, version, **caller).response

    def tick(self, ms: int) -> None:
        """Let time pass; timers fire when they are due, in order."""
        end = self.now_ms + ms
        while (due_ms := self.runtime.next_due()) is not None and due_ms <= end:
            self.now_ms = max(self.now_ms, due_ms)
            self.runtime.fire_timers(self.now_ms)
        self.now_ms = end

    def commit(self) -> None:
        """All that was written is on enough replicas."""
        self.writer.high_watermark = len(self.log)
        self.runtime.high_watermark_moved()

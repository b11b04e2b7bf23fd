"""A group coordinator's shard without broker, socket or clock: for tests of what it decides.

The log is in memory and keeps records as the broker writes them, so a restart reads them back from bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from coordinator.group_config import GroupConfig
from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS, encode_key, encode_value
from coordinator.runtime import ShardRuntime
from coordinator.shard import (
    Call,
    Caller,
    CoordinatorRecord,
    TopicsChanged,
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


class OwnConfigs(dict[str, GroupConfig]):
    """`GroupConfigs`: by group, what holds for those that set anything for themselves."""

    def of(self, group_id: str, base: GroupConfig) -> GroupConfig:
        return self.get(group_id, base)


class Counted:
    """`Entropy` that counts: the first id ends in 1."""

    def __init__(self) -> None:
        self.drawn = 0

    def uuid(self) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(16, "big")


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


class GroupWorld:
    """One shard, its runtime, its log and a clock."""

    def __init__(
        self, config: GroupConfig | None = None, topics: Topics | None = None, now_ms: TimestampMs = START_MS
    ) -> None:
        self.config = GroupConfig(initial_rebalance_delay_ms=0) if config is None else config
        self.topics = Topics() if topics is None else topics
        self.own_configs = OwnConfigs()
        self.entropy = Counted()
        self.now_ms = now_ms
        self.log: list[Written] = []
        self.start()

    def start(self) -> None:
        """Build the shard from the log."""
        self.writer = MemoryWriter(self.log)
        self.shard = GroupShard(self.config, self.topics, self.entropy, self.own_configs)
        self.runtime = ShardRuntime(self.shard, self.writer, Answers())
        for offset, written in enumerate(self.log):
            if written.commit is not None:
                assert written.producer is not None
                self.shard.replay_marker(written.producer, commit=written.commit)
                continue
            record = GROUP_RECORDS.decode(written.key, written.value)
            if record is not None:
                self.shard.replay(record, offset, written.producer)
        self.runtime.loaded(self.now_ms)

    def restart(self) -> None:
        """Lose the leadership, and all soft state with it, and come back. Who waits is told NOT_COORDINATOR."""
        self.runtime.resign()
        self.start()

    # -- events ------------------------------------------------------------------------------------------

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

    def end_transaction(self, producer: TransactionalProducer, *, commit: bool) -> None:
        """The marker arrives in this partition."""
        self.log.append(Written(b"", None, producer, commit))
        self.writer.high_watermark = len(self.log)
        self.shard.replay_marker(producer, commit=commit)

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic, or have it grow."""
        self.topics.partitions[name] = partitions
        self.topics.version += 1
        self.runtime.handle(TopicsChanged((), ()), self.now_ms)

    def delete_topic(self, name: str) -> None:
        topic_id = self.topics.topic_id(name)
        assert topic_id is not None
        del self.topics.partitions[name]
        self.topics.generation[name] = self.topics.generation.get(name, 0) + 1
        self.topics.version += 1
        self.runtime.handle(TopicsChanged((name,), (topic_id,)), self.now_ms)

    # -- what came of it -----------------------------------------------------------------------------------

    def records(self, since: int = 0) -> list[CoordinatorRecord]:
        """Return what was written, from an offset on, without markers."""
        decoded = [GROUP_RECORDS.decode(w.key, w.value) for w in self.log[since:] if w.commit is None]
        return [record for record in decoded if record is not None]

    def timers(self) -> dict[tuple[Any, ...], TimestampMs]:
        """Return the timers that are set, and in how many milliseconds each is due."""
        return {key: due_ms - self.now_ms for key, due_ms in self.runtime._due.items()}

"""Hosts the shards of one internal topic: one for each partition that this node leads.

    role taken ──► load (replay the log) ──► active: calls, timers, news ──► role lost, disk failed, stop ──► dropped

A shard is dropped with its role and loaded anew with the next: nothing of it outlives a term. The internal topic is
created when somebody first looks for a coordinator.
Source: Kafka coordinator-common, CoordinatorRuntime.java.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from coordinator.internal_records import UnreadableRecord
from coordinator.partitioning import partition_of
from coordinator.runtime import ShardRuntime
from coordinator.shard import Call, Caller, TopicsChanged
from logd.coordination.loading import load_shard
from logd.coordination.waiters import PendingAnswer, PendingResult, Returns
from logd.coordination.writer import LocalWriter
from protocol.errors import BrokerError, ErrorCode
from replication.metadata_commands import CreateTopics, NewTopic
from storage.errors import StorageError

if TYPE_CHECKING:
    from coordinator.internal_records import RecordTypes
    from coordinator.ports import Outbox
    from coordinator.runtime import Written
    from coordinator.shard import MarkersAnswered, Shard, TransactionMarker
    from logd.context import RequestContext
    from logd.coordination.waiters import Refused
    from logd.node import Node
    from logd.replicas import LocalPartition
    from protocol.messages.message import Message
    from protocol.types import LeaderEpoch
    from replication.metadata_image import MetadataDelta

log = logging.getLogger("logd.coordination")

#: Timers may fire late by this much; it spares a wake-up for each of many sessions.
_TIMER_COARSENESS_MS: Final = 10

_NEVER: Final = 1 << 62

ShardFactory: TypeAlias = Callable[["LeaderEpoch"], "Shard"]
"""Makes a shard for the term of this leader epoch."""

OutboxFactory: TypeAlias = Callable[[Callable[["MarkersAnswered"], None]], "Outbox"]
"""Makes the outbox of a shard; what comes of a send is told to the function that is handed in."""


class InternalTopic(NamedTuple):
    """How the topic is made when it is first needed."""

    name: str
    partitions: int
    replication_factor: int
    configs: Sequence[tuple[str, str]]


class _Hosted:
    """One shard and the term that it serves."""

    __slots__ = ("leader_epoch", "loading", "partition", "runtime", "writer")

    def __init__(self, partition: LocalPartition, writer: LocalWriter, runtime: ShardRuntime) -> None:
        self.partition = partition
        self.leader_epoch: LeaderEpoch = partition.leader_epoch
        self.writer = writer
        self.runtime = runtime
        self.loading: asyncio.Task[None] | None = None


class CoordinatorHost:
    """The coordinator of one kind on this node."""

    def __init__(
        self,
        node: Node,
        topic: InternalTopic,
        types: RecordTypes,
        new_shard: ShardFactory,
        new_outbox: OutboxFactory | None = None,
    ) -> None:
        """`new_outbox` is for shards that send."""
        self._node = node
        self._topic = topic
        self._types = types
        self._new_shard = new_shard
        self._new_outbox = new_outbox
        self._hosted: dict[int, _Hosted] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_ms = _NEVER
        self._creation: asyncio.Future[None] | None = None
        """Of the topic, under way; all who need it wait for the same."""
        self._stopped = False

    def start(self) -> None:
        """Serve the partitions that this node leads now, and follow the metadata."""
        for partition in self._node.replicas:
            if partition.topic_partition.topic == self._topic.name:
                self.role_changed(partition)
        self._node.metadata.watch(self.topics_changed)

    @property
    def topic_name(self) -> str:
        return self._topic.name

    def shards(self) -> Iterator[Shard]:
        """Those of the partitions that this node leads."""
        return (hosted.runtime.shard for hosted in self._hosted.values())

    # -- finding -------------------------------------------------------------------------------------------

    def partition_of(self, key: str) -> int | None:
        """Return the number of the partition that a group or transactional id belongs to; None without the topic."""
        topic = self._node.metadata.image.topics.get(self._topic.name)
        return None if topic is None else partition_of(key, len(topic.partitions))

    async def ensure_topic(self) -> None:
        """Create the internal topic unless it is there. Raises: BrokerError COORDINATOR_NOT_AVAILABLE."""
        if self._topic.name in self._node.metadata.image.topics:
            return
        if self._creation is None:
            self._creation = asyncio.ensure_future(self._create())
        await asyncio.shield(self._creation)

    async def _create(self) -> None:
        topic = self._topic
        new = NewTopic(topic.name, topic.partitions, topic.replication_factor, configs=topic.configs)
        try:
            (creation,) = await self._node.metadata.submit(CreateTopics([new]))
        except BrokerError as refusal:
            raise BrokerError(ErrorCode.COORDINATOR_NOT_AVAILABLE, refusal.message) from refusal
        finally:
            self._creation = None
        if creation.code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
            log.error("topic not created topic=%s error=%s", topic.name, creation.message)
            raise BrokerError(ErrorCode.COORDINATOR_NOT_AVAILABLE, creation.message)

    # -- calls ---------------------------------------------------------------------------------------------

    def call(self, key: str, request: Message, context: RequestContext, refused: Refused) -> Message | None:
        """Put a client's request to the shard of `key`. Return the answer, or None when it comes later.

        `refused` makes the answer that tells an error code.
        """
        runtime = self._runtime(key)
        if runtime is None:
            return refused(ErrorCode.NOT_COORDINATOR)
        pending = PendingAnswer(context, refused)
        runtime.call(Call(request, caller_of(context), pending), self._node.now_ms())
        self._arm_timer(runtime)
        return pending.taken()

    async def ask(self, key: str, request: Message, context: RequestContext) -> Message:
        """Put a question to the shard of `key`, and wait. Raises: BrokerError."""
        return await self.ask_for(key, request, caller_of(context))

    async def ask_for(self, key: str, request: Message, caller: Caller) -> Message:
        """Put a question of `caller` to the shard of `key`, and wait. Raises: BrokerError."""
        runtime = self._runtime(key)
        if runtime is None:
            raise BrokerError(ErrorCode.NOT_COORDINATOR)
        return await self._ask(runtime, request, caller)

    async def ask_all(self, request: Message, context: RequestContext) -> list[Message]:
        """Put a question to every shard on this node. Raises: BrokerError when any cannot answer yet.

        One that is given up meanwhile, or could not be loaded, coordinates nothing: it is left out.
        """
        answers = []
        for runtime in [hosted.runtime for hosted in self._hosted.values()]:
            try:
                answers.append(await self._ask(runtime, request, caller_of(context)))
            except BrokerError as refusal:
                if refusal.code is not ErrorCode.NOT_COORDINATOR:
                    raise
        return answers

    async def _ask(self, runtime: ShardRuntime, request: Message, caller: Caller) -> Message:
        pending = PendingResult()
        runtime.call(Call(request, caller, pending), self._node.now_ms())
        self._arm_timer(runtime)
        return await pending.result

    def _runtime(self, key: str) -> ShardRuntime | None:
        index = self.partition_of(key)
        hosted = None if index is None else self._hosted.get(index)
        return None if hosted is None else hosted.runtime

    def write_marker(self, index: int, marker: TransactionMarker, written: Written) -> None:
        """Write the end of a transaction to a partition of the internal topic; see `ShardRuntime.write_marker`."""
        hosted = self._hosted.get(index)
        if hosted is None:
            written(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            return
        hosted.runtime.write_marker(marker, written, self._node.now_ms())
        self._arm_timer(hosted.runtime)

    # -- roles ---------------------------------------------------------------------------------------------

    def role_changed(self, partition: LocalPartition) -> None:
        """A partition of the internal topic was taken up, lost, or went offline."""
        index = partition.topic_partition.partition
        hosted = self._hosted.get(index)
        serves = partition.is_leader and not self._stopped
        if hosted is not None:
            if serves and hosted.partition is partition and hosted.leader_epoch == partition.leader_epoch:
                return
            self._drop(index)
        if serves:
            self._host(index, partition)

    def topics_changed(self, delta: MetadataDelta) -> None:
        """Topics were created, deleted, or grew."""
        if not (delta.created_topics or delta.deleted_topics or delta.changed_partitions):
            return
        deleted = delta.deleted_topics
        news = TopicsChanged(
            tuple(topic.name for topic in deleted), tuple(topic.topic_id for topic in deleted)
        )
        for hosted in tuple(self._hosted.values()):
            hosted.runtime.handle(news, self._node.now_ms())
            self._arm_timer(hosted.runtime)

    def stop(self) -> None:
        """Answer all who wait; clients come back when a coordinator is there again."""
        self._stopped = True
        for index in tuple(self._hosted):
            self._drop(index)
        if self._timer is not None:
            self._timer.cancel()

    def _host(self, index: int, partition: LocalPartition) -> None:
        def committed() -> None:
            hosted.runtime.high_watermark_moved()

        def answered(news: MarkersAnswered) -> None:
            hosted.runtime.handle(news, self._node.now_ms())
            self._arm_timer(hosted.runtime)

        writer = LocalWriter(self._node, partition, committed)
        outbox = None if self._new_outbox is None else self._new_outbox(answered)
        shard = self._new_shard(partition.leader_epoch)
        hosted = _Hosted(partition, writer, ShardRuntime(shard, writer, Returns(), outbox))
        self._hosted[index] = hosted
        if partition.log.log_start_offset == partition.log.log_end_offset:
            hosted.runtime.loaded(self._node.now_ms())
            self._arm_timer(hosted.runtime)
        else:
            hosted.loading = self._node.loop.create_task(self._load(hosted))

    async def _load(self, hosted: _Hosted) -> None:
        partition = hosted.partition
        try:
            end_offset = await load_shard(self._node, partition, self._types, hosted.runtime.shard)
        except StorageError as error:
            self._node.storage_failed(partition, error)
        except (UnreadableRecord, BrokerError) as error:
            log.error("coordinator not loaded partition=%s error=%s", partition.topic_partition, error)
            hosted.runtime.resign()
        except Exception:
            log.exception("coordinator not loaded partition=%s", partition.topic_partition)
            hosted.runtime.resign()
        else:
            hosted.runtime.loaded(self._node.now_ms(), end_offset)
            self._arm_timer(hosted.runtime)

    def _drop(self, index: int) -> None:
        hosted = self._hosted.pop(index)
        if hosted.loading is not None:
            hosted.loading.cancel()
        hosted.runtime.resign()
        hosted.writer.retire()

    # -- timers --------------------------------------------------------------------------------------------

    def _arm_timer(self, runtime: ShardRuntime) -> None:
        """Have the loop's timer fire no later than this shard's first timer is due."""
        due_ms = runtime.next_due()
        if due_ms is None or due_ms >= self._timer_due_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due_ms = due_ms
        delay_ms = max(due_ms - self._node.now_ms(), 0) + _TIMER_COARSENESS_MS
        self._timer = self._node.loop.call_later(delay_ms / 1000, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._timer_due_ms = _NEVER
        now_ms = self._node.now_ms()
        for hosted in tuple(self._hosted.values()):
            hosted.runtime.fire_timers(now_ms)
            self._arm_timer(hosted.runtime)


def caller_of(context: RequestContext) -> Caller:
    """Who sent a request, as the coordinators know clients."""
    return Caller(context.version, context.client_id or "", f"/{context.peer}")

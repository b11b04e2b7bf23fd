"""A group coordinator's shard without broker, socket or clock: for tests of what it decides."""

from __future__ import annotations

from typing import Any

from coordinator.group_config import GroupConfig
from coordinator.group_shard import GroupShard
from coordinator.internal_records import GROUP_RECORDS
from coordinator.runtime import ShardRuntime
from coordinator.shard import CoordinatorRecord, TopicsChanged, TransactionalProducer
from protocol.types import TimestampMs
from tests.support.shards import START_MS, Answers, MemoryWriter, ShardWorld, Topics, Written


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


class GroupWorld(ShardWorld):
    """One shard of groups."""

    def __init__(
        self, config: GroupConfig | None = None, topics: Topics | None = None, now_ms: TimestampMs = START_MS
    ) -> None:
        super().__init__(Topics() if topics is None else topics, now_ms)
        self.config = GroupConfig(initial_rebalance_delay_ms=0) if config is None else config
        self.own_configs = OwnConfigs()
        self.entropy = Counted()
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

"""What the storage of one node must hold, kept in plain lists.

A partition's model says of each moment which batches the log holds, what it may hold besides if the operation under
way was done or undone by a crash, and what it must hold whatever the crash takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.control_records import read_end_txn_marker
from protocol.records import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader, read_header
from protocol.types import TopicPartition
from storage.config import LogConfig


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch as the log stores it."""

    data: bytes
    header: BatchHeader

    @classmethod
    def of(cls, data: bytes) -> Batch:
        return cls(data, read_header(data))

    @property
    def base_offset(self) -> int:
        return self.header.base_offset

    @property
    def end_offset(self) -> int:
        return self.header.last_offset + 1

    @property
    def is_control(self) -> bool:
        return bool(self.header.attributes & CONTROL_BIT)

    @property
    def is_transactional(self) -> bool:
        return bool(self.header.attributes & TRANSACTIONAL_BIT)

    @property
    def aborts(self) -> bool:
        marker = read_end_txn_marker(self.data) if self.is_control else None
        return marker is not None and not marker.committed


@dataclass(slots=True)
class PartitionModel:
    """One partition in one life: a topic of the same name made again has another id and another model."""

    topic_partition: TopicPartition
    topic_id: bytes
    config: LogConfig
    batches: list[Batch] = field(default_factory=list)
    """What the log holds, from `start_offset` on; the first may begin below it."""
    possible: dict[int, set[bytes]] = field(default_factory=dict)
    """By base offset, every batch that a crash may leave in the log."""
    end_offset: int = 0
    acknowledged_end: int = 0
    """Everything below was reported durable: no crash may take it."""
    start_offset: int = 0
    start_offset_min: int = 0
    """What was checkpointed: a crash may move the start back, but not below."""
    start_offset_max: int = 0
    """Where an operation under way may move the start to."""
    must_exist: bool = False
    """Whether the partition itself was reported durable."""
    leader_epoch: int = 0

    def will_write(self, data: bytes) -> None:
        """Called ahead of a write: a crash inside it may or may not leave the batch."""
        self.possible.setdefault(read_header(data).base_offset, set()).add(data)

    def wrote(self, data: bytes) -> None:
        batch = Batch.of(data)
        assert batch.base_offset == self.end_offset
        self.batches.append(batch)
        self.end_offset = batch.end_offset

    def acknowledge(self, recovery_point: int) -> None:
        """Takes the log at its word that everything below `recovery_point` is durable."""
        if recovery_point > self.acknowledged_end:
            self.acknowledged_end = recovery_point
            self.must_exist = True

    def move_start(self, start_offset: int) -> None:
        self.start_offset = self.start_offset_max = start_offset
        self.batches = [batch for batch in self.batches if batch.end_offset > start_offset]

    def will_truncate(self, end_offset: int) -> None:
        self.acknowledged_end = min(self.acknowledged_end, end_offset)

    def truncated(self, end_offset: int) -> None:
        """Whole batches from `end_offset` on are gone for good: a truncation waits for the disk."""
        self.batches = [batch for batch in self.batches if batch.base_offset < end_offset]
        self.possible = {base: data for base, data in self.possible.items() if base < end_offset}
        self.end_offset = end_offset

    def acknowledged(self, start_offset: int) -> list[Batch]:
        """The batches that must be there when the log starts at `start_offset`."""
        return [
            batch
            for batch in self.batches
            if batch.end_offset <= self.acknowledged_end and batch.end_offset > start_offset
        ]


@dataclass(slots=True)
class NodeModel:
    """All partitions that the cluster's metadata knows."""

    live: dict[TopicPartition, PartitionModel] = field(default_factory=dict)
    cluster_id: str = "cluster"

    def config_of(self, topic_partition: TopicPartition, topic_id: bytes | None) -> LogConfig | None:
        """What the broker would tell the log manager about a directory that it found."""
        model = self.live.get(topic_partition)
        return model.config if model is not None and topic_id == model.topic_id else None

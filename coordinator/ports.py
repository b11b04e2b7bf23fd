"""What the coordinators ask of the packages that they may not import."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from coordinator.group_config import GroupConfig
from coordinator.shard import (
    CoordinatorRecord,
    EndTxnMarkers,
    TransactionalProducer,
    TransactionMarker,
    Waiter,
)
from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.types import Offset, ProducerId, TimestampMs


class PartitionWriter(Protocol):
    """The partition of the internal topic that a shard writes to, led by this node."""

    @property
    def high_watermark(self) -> Offset:
        """All below is committed (exclusive)."""

    def append(
        self,
        records: Sequence[CoordinatorRecord],
        producer: TransactionalProducer | None,
        now_ms: TimestampMs,
    ) -> Offset:
        """Write the records as one batch; return the offset of the first. `high_watermark` may have moved.

        Raises: BrokerError with the code that the callers get; nothing was written then.
        """

    def append_marker(self, marker: TransactionMarker, now_ms: TimestampMs) -> Offset:
        """Write the control batch that ends a transaction; return its offset. `high_watermark` may have moved.

        Raises: BrokerError INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED for a marker of an older epoch, and
        whatever else keeps it from being written; nothing was written then.
        """


class Answers(Protocol):
    """The way back to those who wait."""

    def answer(self, waiter: Waiter, response: Message) -> None: ...

    def refuse(self, waiter: Waiter, code: ErrorCode) -> None: ...


class Outbox(Protocol):
    """The way to partitions, wherever they are led."""

    def send(self, markers: EndTxnMarkers) -> None:
        """Have the markers written. The shard is told by `MarkersAnswered`, once, in a later turn: never from within.

        For a partition whose leader cannot be asked the code is a retriable one; the shard says when to try again.
        """


class ProducerIdSource(Protocol):
    """Producer ids, each given once in the life of the cluster."""

    def next_now(self) -> ProducerId | None:
        """Return an id; None while there is none at hand: the client is asked to come back."""


class TransactionFeature(Protocol):
    """The finalised feature `transaction.version`, which may change while the coordinator runs."""

    @property
    def level(self) -> int:
        """0, 1 or 2."""


class Entropy(Protocol):
    """Randomness, handed in so that a simulation can replay it."""

    def uuid(self) -> bytes:
        """Return 16 random bytes."""


class TopicCatalog(Protocol):
    """The topics of the cluster, as the metadata has them now."""

    @property
    def version(self) -> Offset:
        """Rises with every change of the metadata, over restarts, too."""

    def topic_names(self) -> Collection[str]: ...

    def topic_id(self, name: str) -> bytes | None: ...

    def topic_name(self, topic_id: bytes) -> str | None: ...

    def partition_count(self, name: str) -> int:
        """0 for a topic that does not exist."""

    def partition_racks(self, name: str, partition: int) -> Collection[str]:
        """The racks that hold a replica; empty where brokers have none."""


class GroupConfigs(Protocol):
    """What groups have set for themselves, as the metadata has it now."""

    def of(self, group_id: str, base: GroupConfig) -> GroupConfig:
        """Return what holds for a group: its own settings, and `base` where it has none."""

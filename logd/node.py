"""What the parts of a broker may ask of the node that they are part of.

`Broker` is one, and makes the parts. They name this and not the broker, so that imports point down: handlers → broker →
parts (coordination, compaction, housekeeping, settings) → this → what it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Mapping

    from coordinator.runtime import Written
    from coordinator.shard import TransactionMarker
    from logd.config import BrokerConfig
    from logd.delayed import DelayedQueue
    from logd.flusher import Flusher
    from logd.pool import BlockingPool
    from logd.producer_ids import ProducerIds
    from logd.replicas import LocalPartition, Replicas
    from protocol.errors import BrokerError, ErrorCode
    from protocol.types import ProducerEpoch, ProducerId, TopicPartition
    from replication.metadata_ports import MetadataStore
    from storage.errors import StorageError


class Node(Protocol):
    """One node: its settings, its partitions, its metadata, its threads and its clock."""

    config: BrokerConfig
    node_id: int
    loop: asyncio.AbstractEventLoop
    pool: BlockingPool
    read_pool: BlockingPool
    delayed: DelayedQueue
    flusher: Flusher
    metadata: MetadataStore
    replicas: Replicas
    producer_ids: ProducerIds

    @property
    def groups(self) -> MarkedOffsets:
        """Who takes the markers of transactions that have offsets in them."""

    @property
    def transactions(self) -> TransactionVerifier:
        """Who knows which partitions are part of a transaction."""

    def now_ms(self) -> int:
        """The wall clock, milliseconds since 1970."""

    def partition(self, topic: str, index: int) -> LocalPartition:
        """See `Replicas.get`."""

    def state_changed(self, partition: LocalPartition) -> None:
        """The partition changed: those who wait for it are looked at."""

    def storage_failed(self, partition: LocalPartition, error: StorageError) -> BrokerError:
        """See `Replicas.storage_failed`."""

    def reconfigure(self, config: BrokerConfig) -> None:
        """Put a new configuration into force."""


class MarkedOffsets(Protocol):
    """The group coordinator as the coordinator of transactions knows it."""

    def write_marker(self, index: int, marker: TransactionMarker, written: Written) -> None:
        """Write the end of a transaction to a partition of `__consumer_offsets`."""


class TransactionVerifier(Protocol):
    """The transaction coordinator, wherever it is."""

    async def add(
        self,
        transactional_id: str,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Collection[TopicPartition],
        *,
        verify_only: bool,
    ) -> Mapping[TopicPartition, ErrorCode]:
        """Add partitions to the producer's transaction, or only ask whether they are in it (`verify_only`).

        Returns the code of each partition as AddPartitionsToTxn tells it, or COORDINATOR_NOT_AVAILABLE,
        NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, NETWORK_EXCEPTION where it could not be asked; what is not named
        is in the transaction. Never raises, and never waits for longer than request.timeout.ms.
        """

    async def until_ended(self, transactional_id: str, timeout_s: float) -> None:
        """Wait for the transaction that the coordinator is ending: until it may have ended, for `timeout_s` at most."""

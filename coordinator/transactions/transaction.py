"""What is known of one transactional id: its producer, and the transaction under way or the last one.

Values that are replaced, never changed; which may follow which is said in `transitions`.
Source: KIP-98, KIP-360, KIP-890; Kafka transaction-coordinator, TransactionMetadata.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.records import NO_PRODUCER_ID

if TYPE_CHECKING:
    from coordinator.transactions.states import TransactionState
    from protocol.types import ProducerEpoch, ProducerId, TimestampMs, TopicPartition

EPOCH_MAX: Final = 2**15 - 1
"""Never given to a producer: whoever has the last one below can still be fenced."""
NOT_STARTED: Final = -1
"""As a time: there is no transaction."""
NO_TIMEOUT_MS: Final = 2**31 - 1
"""As a time-out: such a transaction never times out (Kafka: two phase commit, KIP-939)."""


class Identity(NamedTuple):
    """As whom a producer writes."""

    producer_id: ProducerId
    producer_epoch: ProducerEpoch


class Transaction(NamedTuple):
    """Hard state: all of it is in the record, but for what records of version 0 have no field for."""

    state: TransactionState
    producer_id: ProducerId
    producer_epoch: ProducerEpoch
    previous_producer_id: ProducerId
    """Before the last transition; differs from `producer_id` for just one of them after that was replaced."""
    next_producer_id: ProducerId
    """That the producer has been told to go on with once the markers are written, in epoch 0; -1 for the same."""
    timeout_ms: int
    partitions: tuple[TopicPartition, ...]
    """Of the transaction under way; each is to get a marker."""
    started_ms: TimestampMs
    updated_ms: TimestampMs
    client_version: int
    """Transaction version of the request that wrote this; 2 has the epoch bumped with every transaction."""

    @property
    def identity(self) -> Identity:
        return Identity(self.producer_id, self.producer_epoch)

    @property
    def goes_on_as(self) -> Identity:
        """Who the producer is once the transaction, if one is decided, is complete."""
        if self.next_producer_id != NO_PRODUCER_ID:
            return Identity(self.next_producer_id, 0)
        return self.identity

    @property
    def is_exhausted(self) -> bool:
        return is_exhausted(self.producer_epoch)


def is_exhausted(epoch: ProducerEpoch) -> bool:
    """Whether a producer id has no next epoch that may be given to a producer."""
    return epoch >= EPOCH_MAX - 1

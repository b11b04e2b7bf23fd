"""What one partition of `__transaction_state` says: its transactional ids.

Shared by the modules that decide; see `coordinator.transaction_shard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.transactions.exchanges import Exchanges
from coordinator.transactions.states import DECIDED, TransactionState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from coordinator.ports import ProducerIdSource, TopicCatalog, TransactionFeature
    from coordinator.transaction_config import TransactionConfig
    from coordinator.transactions.marker_round import MarkerRound
    from coordinator.transactions.transaction import Transaction


class TransactionShardState:
    """The hard and soft state of a shard, and what its decisions rest on besides."""

    __slots__ = (
        "catalog",
        "config",
        "coordinator_epoch",
        "decided",
        "exchanges",
        "feature",
        "ongoing",
        "producer_ids",
        "rounds",
        "sweep",
        "transactions",
    )

    def __init__(
        self,
        config: TransactionConfig,
        catalog: TopicCatalog,
        producer_ids: ProducerIdSource,
        feature: TransactionFeature,
        coordinator_epoch: int,
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.producer_ids = producer_ids
        self.feature = feature
        self.coordinator_epoch = coordinator_epoch
        """Leader epoch of the partition in the term that this shard is built for."""
        self.transactions: dict[str, Transaction] = {}
        """By transactional id."""
        self.ongoing: dict[str, None] = {}
        """The ids whose transaction is open, and may time out. Follows from `transactions`, as does `decided`."""
        self.decided: dict[str, None] = {}
        """The ids whose transaction is decided, and whose markers are under way."""
        self.exchanges = Exchanges()
        self.rounds: dict[str, MarkerRound] = {}
        """By id, for those in `decided`: what partitions have said so far. Soft."""
        self.sweep: Iterator[str] | None = None
        """The ids that the sweep for expired ones has yet to look at. Soft."""

    def take_in(self, transactional_id: str, transaction: Transaction) -> None:
        """The log has this of an id. Called by replay alone."""
        self.transactions[transactional_id] = transaction
        self._index(transactional_id, transaction.state)

    def forget(self, transactional_id: str) -> None:
        """The log has nothing more of an id. Called by replay alone."""
        self.transactions.pop(transactional_id, None)
        self._index(transactional_id, TransactionState.DEAD)
        self.exchanges.forget(transactional_id)

    def _index(self, transactional_id: str, state: TransactionState) -> None:
        if state is TransactionState.ONGOING:
            self.ongoing[transactional_id] = None
        else:
            self.ongoing.pop(transactional_id, None)
        if state in DECIDED:
            self.decided[transactional_id] = None
        else:
            self.decided.pop(transactional_id, None)
            self.rounds.pop(transactional_id, None)

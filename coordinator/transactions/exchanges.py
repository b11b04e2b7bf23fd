"""Which identity a producer gave up for its present one, so that a request whose answer got lost is recognised.

InitProducerId that names the identity which its sender has (KIP-360), and EndTxn under transaction version 2, give the
sender another. When that answer is lost, the sender comes back as who it was, and is not to be taken for a stranger. A
producer that names none is a stranger: whoever was there before has nothing more to say.

Soft state: no field of the records holds it, as in Kafka (its lastProducerEpoch). After a move of the coordinator such
a producer is fenced, unless the epoch alone tells, as it does for EndTxn. An exchange is known by the identity that was
given. So one that is proposed and could not be written does no harm: nobody is that, and the one before is kept.
Source: KIP-360; Kafka transaction-coordinator, TransactionMetadata.java (prepareIncrementProducerEpoch).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coordinator.transactions.transaction import Identity


class Exchanges:
    """By transactional id: the last exchange, and the one that is proposed."""

    __slots__ = ("_given_up",)

    def __init__(self) -> None:
        self._given_up: dict[str, dict[Identity, Identity]] = {}

    def propose(
        self, transactional_id: str, *, current: Identity, given: Identity, given_up: Identity | None
    ) -> None:
        """Who is `current` becomes `given`, in exchange for `given_up`; None for a stranger."""
        known = self._given_up.get(transactional_id, {})
        kept = {current: known[current]} if current in known else {}
        if given_up is not None:
            kept[given] = given_up
        if kept:
            self._given_up[transactional_id] = kept
        else:
            self._given_up.pop(transactional_id, None)

    def given_up_for(self, transactional_id: str, current: Identity) -> Identity | None:
        """Return who became `current`; None for nobody that is known."""
        known = self._given_up.get(transactional_id)
        return None if known is None else known.get(current)

    def forget(self, transactional_id: str) -> None:
        self._given_up.pop(transactional_id, None)

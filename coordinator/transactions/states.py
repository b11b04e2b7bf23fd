"""The states of a transactional id, what each request gets in them, and which may follow which.

                 ┌───────────────────── InitProducerId ─────────────────────┐
                 ▼                                                          │
    (new) ───► EMPTY ─── AddPartitionsToTxn ──► ONGOING ◄── the same ───────┤
                 │                              │     │                     │
                 │          EndTxn: commit ┌────┘     └────┐ EndTxn: abort, │
                 │                         ▼               ▼ timed out,     │
                 │                  PREPARE_COMMIT   PREPARE_ABORT  fenced  │
                 │                         │           ▲   │                │
                 │   all partitions have   ▼           │   ▼                │
                 │   their marker    COMPLETE_COMMIT   │ COMPLETE_ABORT     │
                 │                         │           │   │                │
                 └─ EndTxn: abort (TV2) ───┴───────────┘   └────────────────┘

    EMPTY, COMPLETE_* ─── not used for transactional.id.expiration.ms ──► DEAD

TV2 is transaction version 2 (KIP-890). In PREPARE_* every request of the id is told CONCURRENT_TRANSACTIONS: it comes
again when the markers are written. Source: KIP-98, KIP-890; Kafka transaction-coordinator, TransactionState.java.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class TransactionState(IntEnum):
    """Values are those of the records; `label` is what DescribeTransactions and ListTransactions tell."""

    EMPTY = 0
    """No transaction since the producer got its identity.

    InitProducerId: next epoch. AddPartitionsToTxn: a transaction begins. EndTxn: INVALID_TXN_STATE, but for an abort
    under TV2, whose producer may not know that there is nothing to abort.
    """

    ONGOING = 1
    """Partitions take part, and may have records.

    InitProducerId: aborts, and is told CONCURRENT_TRANSACTIONS. AddPartitionsToTxn: more take part. EndTxn: ends it.
    """

    PREPARE_COMMIT = 2
    """Decided: from here on it is committed, whatever happens. Partitions get their markers."""

    PREPARE_ABORT = 3
    """Decided: it is aborted. Partitions get their markers."""

    COMPLETE_COMMIT = 4
    """All partitions have their COMMIT marker.

    InitProducerId, AddPartitionsToTxn: as in EMPTY. EndTxn: a commit that is sent again is told NONE, anything else
    INVALID_TXN_STATE. Under TV2 the epoch tells what is sent again; an abort in the current one is as in EMPTY.
    """

    COMPLETE_ABORT = 5
    """All partitions have their ABORT marker. Otherwise as COMPLETE_COMMIT."""

    DEAD = 6
    """Expired. No id is in it: the tombstone that makes it so removes it."""

    PREPARE_EPOCH_FENCE = 7
    """The producer is fenced before its transaction is aborted. No id is in it: both are one step."""

    @property
    def label(self) -> str:
        return _LABELS[self]


_LABELS: Final = {
    TransactionState.EMPTY: "Empty",
    TransactionState.ONGOING: "Ongoing",
    TransactionState.PREPARE_COMMIT: "PrepareCommit",
    TransactionState.PREPARE_ABORT: "PrepareAbort",
    TransactionState.COMPLETE_COMMIT: "CompleteCommit",
    TransactionState.COMPLETE_ABORT: "CompleteAbort",
    TransactionState.DEAD: "Dead",
    TransactionState.PREPARE_EPOCH_FENCE: "PrepareEpochFence",
}

BY_LABEL: Final = {label: state for state, label in _LABELS.items()}

AT_REST: Final = frozenset(
    {TransactionState.EMPTY, TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT}
)
"""No transaction is under way."""

DECIDED: Final = frozenset({TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT})
"""How it ends is written, its markers are not yet."""

PREDECESSORS: Final[dict[TransactionState, frozenset[TransactionState]]] = {
    TransactionState.EMPTY: AT_REST,
    TransactionState.ONGOING: AT_REST | {TransactionState.ONGOING},
    TransactionState.PREPARE_COMMIT: frozenset({TransactionState.ONGOING}),
    TransactionState.PREPARE_ABORT: AT_REST | {TransactionState.ONGOING},
    TransactionState.COMPLETE_COMMIT: frozenset({TransactionState.PREPARE_COMMIT}),
    TransactionState.COMPLETE_ABORT: frozenset({TransactionState.PREPARE_ABORT}),
    TransactionState.DEAD: AT_REST,
    TransactionState.PREPARE_EPOCH_FENCE: frozenset(),
}
"""Which states may come before each; checked where a transition is proposed, by `transitions` alone. What a compacted
log holds of an id need not follow it."""

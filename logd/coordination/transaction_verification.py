"""Is this batch part of a transaction that is under way? What partitions ask the transaction coordinator.

The first batch of a transaction on a partition is written only once the coordinator knows that the partition is part
of it. Otherwise no marker would ever end it there, and readers of committed records would wait for ever (KIP-890).

    request  ── starts a `storage.verification.Verification` at each partition ──►  asks the coordinator (`add`)
    answer   ── the partition admits it, unless a marker has made it void ──────►  the batch is appended

How clients see refusals depends on what their version of a request knows: `TransactionSupport`.
Source: apache/kafka server/…/transaction/AddPartitionsToTxnManager.java, core/…/server/ReplicaManager.scala.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from protocol.errors import ErrorCode

#: Codes of a coordinator that cannot be asked now.
_COORDINATOR_AWAY: Final = frozenset(
    {
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
    }
)


class TransactionSupport(NamedTuple):
    """What the version of a request says of its client's transactions."""

    adds_partitions: bool
    """Transaction version 2: the client leaves it to brokers to add partitions, and every transaction has an epoch."""
    knows_abortable: bool
    """It understands TRANSACTION_ABORTABLE."""
    produces: bool
    """It sends records. Else it commits offsets, and knows how to deal with coordinators."""

    @classmethod
    def of_produce(cls, version: int) -> TransactionSupport:
        return cls(adds_partitions=version >= 12, knows_abortable=version >= 11, produces=True)

    @classmethod
    def of_offset_commit(cls, version: int) -> TransactionSupport:
        """Of TxnOffsetCommit."""
        return cls(adds_partitions=version >= 5, knows_abortable=version >= 4, produces=False)

    def code_for_client(self, code: ErrorCode) -> ErrorCode:
        """Return what the client is to be told where the coordinator said `code`."""
        if code is ErrorCode.PRODUCER_FENCED:
            return ErrorCode.INVALID_PRODUCER_EPOCH  # what producers expect of partitions
        if code is ErrorCode.TRANSACTION_ABORTABLE and not self.knows_abortable:
            return ErrorCode.INVALID_TXN_STATE
        if self.produces:
            if code in _COORDINATOR_AWAY or (
                code is ErrorCode.CONCURRENT_TRANSACTIONS and not self.adds_partitions
            ):
                # Makes every producer try again, and none of them ask for metadata first.
                return ErrorCode.NOT_ENOUGH_REPLICAS
        elif code is ErrorCode.NETWORK_EXCEPTION:
            # Makes clients try again, and none of them look for the group's coordinator first.
            return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return code

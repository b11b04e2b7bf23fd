"""A broker's question to the transaction coordinator: is this partition part of the transaction?

In the broker it is `logd.coordination.transaction_inquiry`, which waits on the event loop; this one waits on the clock.
What is asked, when a batch may come, and what a client is told is decided by the broker's own code: the producer state
of the partition and `TransactionSupport`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from logd.coordination.transaction_verification import TransactionSupport
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from storage.verification import Verification
from tests.simulation.transactions.replica import Replica

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation

_VERSION = 5
_RETRY_MS = 40
_RETRY_MS_MAX = 100
_TIMEOUT_MS = 20_000


class Inquiry:
    """Call `start`; `ask` if that says so; then `admit` before the append, in the same turn."""

    def __init__(
        self,
        sim: Simulation,
        replica: Replica,
        *,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        base_sequence: int,
        support: TransactionSupport,
        about: Any,
    ) -> None:
        self._sim = sim
        self._replica = replica
        self._transactional_id = transactional_id
        self._producer_id = producer_id
        self._producer_epoch = producer_epoch
        self._base_sequence = base_sequence
        self._support = support
        self._about = about
        self._verification: Verification | None = None
        self._code = ErrorCode.NONE

    def start(self) -> bool:
        """Whether the coordinator must be asked. Raises: BrokerError."""
        if not self._replica.leads:
            raise BrokerError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self._leader_epoch = self._replica.leader_epoch
        self._verification = self._replica.log.producers.start_verification(
            self._producer_id,
            self._producer_epoch,
            self._base_sequence,
            bumps_epoch=self._support.adds_partitions,
            now_ms=self._sim.clock.now_ms,
        )
        return self._verification is not None

    def ask(self, then: Callable[..., None], *arguments: Any) -> None:
        """Have the coordinator asked; `then` is called when it has answered, or could not be asked."""
        self._then = then
        self._arguments = arguments
        self._deadline_ms = self._sim.clock.now_ms + _RETRY_MS_MAX
        self._ask()

    def _ask(self) -> None:
        topic, number = self._replica.topic_partition
        transaction = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
            transactional_id=self._transactional_id,
            producer_id=self._producer_id,
            producer_epoch=self._producer_epoch,
            verify_only=not self._support.adds_partitions,
            topics=[AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=topic, partitions=[number])],
        )
        request = AddPartitionsToTxnRequest(transactions=[transaction])
        self._sim.brokers.ask(
            self._sim.transactions, request, _VERSION, self._answered, _TIMEOUT_MS, self._about
        )

    def _answered(self, outcome: Any) -> None:
        sim = self._sim
        if outcome is None:
            self._code = ErrorCode.NETWORK_EXCEPTION
        elif isinstance(outcome, ErrorCode):
            self._code = outcome
        else:
            assert isinstance(outcome, AddPartitionsToTxnResponse)
            row = outcome.results_by_transaction[0].topic_results[0].results_by_partition[0]
            self._code = ErrorCode(row.partition_error_code)
        is_busy = self._code is ErrorCode.CONCURRENT_TRANSACTIONS
        if is_busy and self._support.adds_partitions and sim.clock.now_ms < self._deadline_ms:
            sim.clock.after(_RETRY_MS, self._ask_again)
        else:
            self._then(*self._arguments)

    def _ask_again(self) -> None:
        try:
            asks = self.start()
        except BrokerError as refusal:
            self._code = refusal.code
        else:
            if asks:
                self._ask()
                return
            self._code = ErrorCode.NONE
        self._then(*self._arguments)

    def admit(self) -> None:
        """Let the batch come. Raises: BrokerError with what the client is to be told instead."""
        if self._code:
            raise BrokerError(self._support.code_for_client(self._code))
        if not self._replica.leads or self._leader_epoch != self._replica.leader_epoch:
            raise BrokerError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if self._verification is not None:
            producers = self._replica.log.producers
            producers.admit(self._producer_id, self._producer_epoch, self._verification)

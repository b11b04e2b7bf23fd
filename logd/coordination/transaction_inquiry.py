"""One request's question to the transaction coordinator: are these partitions part of the transaction?

A request is held while its question is out; what its partitions answer themselves, because the transaction is open
there or because they refuse, nobody is asked about. A coordinator that is still ending the last transaction of a
producer of version 2 is asked again for a short while: that ends soon, and the request need not come a second time.
See `logd.coordination.transaction_verification`; source: apache/kafka core/…/server/ReplicaManager.scala.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from logd.coordination.transaction_verification import TransactionSupport
from protocol.errors import BrokerError, ErrorCode
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from logd.node import Node
    from protocol.types import ProducerEpoch, ProducerId
    from storage.verification import Verification


class Inquiry:
    """Call `include` for each partition, then `start`; `ask` if that says so; then `admit` before each append."""

    __slots__ = (
        "_codes",
        "_node",
        "_producer_epoch",
        "_producer_id",
        "_refusals",
        "_sequences",
        "_support",
        "_transactional_id",
        "_verifications",
    )

    def __init__(
        self,
        node: Node,
        transactional_id: str,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        support: TransactionSupport,
    ) -> None:
        self._node = node
        self._transactional_id = transactional_id
        self._producer_id = producer_id
        self._producer_epoch = producer_epoch
        self._support = support
        self._sequences: dict[TopicPartition, int] = {}
        self._verifications: dict[TopicPartition, Verification] = {}
        """What the partitions keep, of those about which the coordinator is asked."""
        self._refusals: dict[TopicPartition, tuple[ErrorCode, str | None]] = {}
        """Of the partitions themselves. Not as exceptions: one that is raised keeps, by its traceback, the request."""
        self._codes: Mapping[TopicPartition, ErrorCode] = {}
        """What the coordinator said."""

    def include(self, topic: str, index: int, base_sequence: int) -> None:
        """A batch that begins with this sequence (-1: it has none) is to be written to the partition."""
        self._sequences[TopicPartition(topic, index)] = base_sequence

    def start(self) -> bool:
        """See which partitions need the coordinator's word; whether any does."""
        self._refusals.clear()
        self._verifications.clear()
        support, node = self._support, self._node
        if not (support.adds_partitions or node.config.transaction_partition_verification_enable):
            return False
        now_ms = node.now_ms()
        for topic_partition, base_sequence in self._sequences.items():
            try:
                partition = node.partition(*topic_partition)
                partition.check_leader(-1)
                verification = partition.log.producers.start_verification(
                    self._producer_id,
                    self._producer_epoch,
                    base_sequence,
                    bumps_epoch=support.adds_partitions,
                    now_ms=now_ms,
                )
            except BrokerError as refusal:
                self._refusals[topic_partition] = refusal.code, refusal.message
            else:
                if verification is not None:
                    self._verifications[topic_partition] = verification
        return bool(self._verifications)

    async def ask(self) -> None:
        """Wait for the coordinator's answer."""
        config = self._node.config
        time = self._node.loop.time
        deadline = time() + config.add_partitions_to_txn_retry_backoff_max_ms / 1000
        while True:
            self._codes = await self._node.transactions.add(
                self._transactional_id,
                self._producer_id,
                self._producer_epoch,
                tuple(self._verifications),
                verify_only=not self._support.adds_partitions,
            )
            is_busy = ErrorCode.CONCURRENT_TRANSACTIONS in self._codes.values()
            if not is_busy or not self._support.adds_partitions or time() >= deadline:
                return
            await self._node.transactions.until_ended(
                self._transactional_id, config.add_partitions_to_txn_retry_backoff_ms / 1000
            )
            if not self.start():
                self._codes = {}
                return

    def admit(self, topic: str, index: int) -> None:
        """Let the batch of a partition come, to be appended in the same turn.

        Raises: BrokerError with what the client is to be told instead.
        """
        topic_partition = TopicPartition(topic, index)
        refusal = self._refusals.get(topic_partition)
        if refusal is not None:
            raise BrokerError(*refusal)
        code = self._codes.get(topic_partition, ErrorCode.NONE)
        if code:
            raise self._refused(code)
        verification = self._verifications.get(topic_partition)
        if verification is not None:
            producers = self._node.partition(topic, index).log.producers
            producers.admit(self._producer_id, self._producer_epoch, verification)

    def _refused(self, code: ErrorCode) -> BrokerError:
        return BrokerError(
            self._support.code_for_client(code),
            f"It is not known that the partition is part of the transaction: the coordinator says {code.name}.",
        )

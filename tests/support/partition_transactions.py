"""Transactions on a partition of a node, written past the sockets, and a coordinator that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from logd.replicas import LocalPartition
from protocol.control_records import end_txn_marker
from protocol.errors import ErrorCode
from protocol.records import read_header
from protocol.types import ProducerEpoch, ProducerId, TopicPartition
from replication.partition import ACKS_ALL
from replication.ports import AppendResult
from storage.log import AppendOrigin
from tests.support.logs import NOW_MS, make_batch
from tests.support.node import Node


def write_in_transaction(partition: LocalPartition, batch: bytearray) -> AppendResult:
    """Append a transactional batch as if its coordinator had been asked, where it has to be."""
    header = read_header(batch)
    producers = partition.log.producers
    identity = header.producer_id, header.producer_epoch
    verification = producers.start_verification(
        *identity, header.base_sequence, bumps_epoch=False, now_ms=NOW_MS
    )
    if verification is not None:
        producers.admit(*identity, verification)
    return partition.append(memoryview(batch), acks=ACKS_ALL, now_ms=NOW_MS, origin=AppendOrigin.CLIENT)


def begin_transaction(
    partition: LocalPartition, producer_id: int, count: int = 1, *, producer_epoch: int = 0
) -> bytearray:
    """Append the first batch of a transaction, `count` records of a producer that has written nothing; return it."""
    batch = make_batch(
        count, producer_id=producer_id, producer_epoch=producer_epoch, base_sequence=0, transactional=True
    )
    write_in_transaction(partition, batch)
    return batch


def end_transaction(
    partition: LocalPartition,
    producer_id: int,
    *,
    committed: bool,
    producer_epoch: int = 0,
    version: int = 1,
) -> AppendResult:
    """Append a marker as a coordinator of that transaction version has it written."""
    marker = end_txn_marker(
        committed=committed,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        coordinator_epoch=0,
        timestamp_ms=NOW_MS,
    )
    return partition.append_marker(memoryview(marker), now_ms=NOW_MS, transaction_version=version)


class FakeCoordinator:
    """A `TransactionVerifier` that says what it was told to say, and remembers what it was asked."""

    def __init__(self, *codes: ErrorCode) -> None:
        """`codes`: what is said to the first questions, of every partition; afterwards NONE."""
        self.asked: list[Question] = []
        self.of_partition: dict[TopicPartition, ErrorCode] = {}
        self._codes = list(codes)
        self._gate = asyncio.Event()
        self._gate.set()

    def hold(self) -> None:
        """Answer nothing until `let_go`."""
        self._gate.clear()

    def let_go(self) -> None:
        self._gate.set()

    async def add(
        self,
        transactional_id: str,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Collection[TopicPartition],
        *,
        verify_only: bool,
    ) -> Mapping[TopicPartition, ErrorCode]:
        indexes = tuple(partition.partition for partition in partitions)
        self.asked.append(Question(transactional_id, producer_id, producer_epoch, indexes, verify_only))
        await self._gate.wait()
        code = self._codes.pop(0) if self._codes else ErrorCode.NONE
        return {partition: self.of_partition.get(partition, code) for partition in partitions}


class Question(NamedTuple):
    """What a coordinator was asked; partitions of one topic by their numbers."""

    transactional_id: str
    producer_id: ProducerId
    producer_epoch: ProducerEpoch
    partitions: tuple[int, ...]
    verify_only: bool


def coordinated(node: Node, *codes: ErrorCode) -> FakeCoordinator:
    """Give a node a coordinator that answers as told."""
    coordinator = FakeCoordinator(*codes)
    node.broker.transactions.add = coordinator.add  # type: ignore[method-assign]
    return coordinator

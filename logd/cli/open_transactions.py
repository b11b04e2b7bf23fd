"""Transactions that are open in partitions, and which of them nobody will end.

A partition keeps a transaction open from its first batch there until the marker. The marker comes from the coordinator,
which knows the partitions in each transaction. One that is open where the coordinator does not expect it hangs: its
producer wrote without telling, or late (Kafka before 3.7 let them), or the coordinator has lost it.
Source: KIP-664, KIP-890; Kafka tools, TransactionsCommand.java.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from logd.cli.connection import about
from logd.cli.transactions import describe_transaction, list_transactions
from logd.clients.cluster_client import RETRY_PAUSE_S, ClusterClient, broker_error, has_moved
from logd.clients.coordinators import CoordinatorOf, Coordinators
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_producers import DescribeProducersRequest, DescribeProducersResponse
from protocol.types import NodeId, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition

#: Partitions asked about in one request: a partition may have many producers.
_PORTION = 500


class OpenTransaction(NamedTuple):
    """What a transaction has in one partition."""

    partition: TopicPartition
    producer_id: ProducerId
    producer_epoch: ProducerEpoch
    coordinator_epoch: int
    """Of the coordinator that last ended a transaction of this producer here; -1 where none has."""
    start_offset: Offset
    last_timestamp_ms: TimestampMs
    """Of what was written last."""


class Hanging(NamedTuple):
    """An open transaction that nobody will end."""

    transaction: OpenTransaction
    transactional_id: str | None
    """Whose producer it is; None where no coordinator knows it."""


_Found = list[OpenTransaction] | BrokerError


async def open_transactions(
    cluster: ClusterClient, partitions: Iterable[TopicPartition], *, node_id: NodeId | None = None
) -> dict[TopicPartition, _Found]:
    """The open transactions of each partition, as its leader, or the node that is named, knows them.

    A leader that has moved is asked for once more. What is refused stays with its partition.
    """
    wanted = list(partitions)
    found = await _ask_all(cluster, wanted, node_id)
    moved = [each for each in wanted if has_moved(found[each])] if node_id is None else []
    if moved:
        for each in moved:
            cluster.forget_leader(*each)
        await asyncio.sleep(RETRY_PAUSE_S)
        found |= await _ask_all(cluster, moved, None)
    return found


async def hanging_among(
    cluster: ClusterClient, candidates: Sequence[OpenTransaction], *, timeout_s: float
) -> list[Hanging]:
    """Those of the open transactions that no coordinator will end.

    Partitions are asked once more at the end: one that the coordinator does not know any more may have ended meanwhile.
    """
    if not candidates:
        return []
    producer_ids = sorted({each.producer_id for each in candidates})
    listed = await list_transactions(cluster, producer_ids=producer_ids, timeout_s=timeout_s)
    ids = {each.producer_id: each.transactional_id for each in listed}
    expected = await _expected(cluster, sorted(set(ids.values())), timeout_s)
    unexpected = [
        Hanging(each, ids.get(each.producer_id))
        for each in candidates
        if each.partition not in expected.get(ids.get(each.producer_id, ""), ())
    ]
    now = await open_transactions(cluster, {each.transaction.partition for each in unexpected})
    return [each for each in unexpected if _is_among(each.transaction, now[each.transaction.partition])]


async def _expected(
    cluster: ClusterClient, transactional_ids: Sequence[str], timeout_s: float
) -> dict[str, frozenset[TopicPartition]]:
    """By transactional id, the partitions in which its coordinator will end a transaction."""
    coordinators = Coordinators(cluster, timeout_s, CoordinatorOf.TRANSACTIONS)

    async def ask(transactional_id: str) -> frozenset[TopicPartition]:
        try:
            return frozenset((await describe_transaction(cluster, coordinators, transactional_id)).partitions)
        except BrokerError as error:
            if error.code != ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:  # it has expired meanwhile
                raise
            return frozenset()

    answers = await asyncio.gather(*(ask(each) for each in transactional_ids))
    return dict(zip(transactional_ids, answers, strict=True))


def _is_among(transaction: OpenTransaction, found: _Found) -> bool:
    """Whether it is still open, as far as is known; where it begins may not be."""
    return isinstance(found, BrokerError) or any(
        each.producer_id == transaction.producer_id
        and (transaction.start_offset < 0 or each.start_offset == transaction.start_offset)
        for each in found
    )


async def _ask_all(
    cluster: ClusterClient, partitions: Iterable[TopicPartition], node_id: NodeId | None
) -> dict[TopicPartition, _Found]:
    found: dict[TopicPartition, _Found] = {}
    by_node: dict[NodeId, list[TopicPartition]] = defaultdict(list)
    for each in partitions:
        try:
            by_node[await cluster.leader_id(*each) if node_id is None else node_id].append(each)
        except BrokerError as error:
            found[each] = _about(each, error)
    for answer in await asyncio.gather(
        *(
            _ask(cluster, node, rows[at : at + _PORTION])
            for node, rows in by_node.items()
            for at in range(0, len(rows), _PORTION)
        )
    ):
        found |= answer
    return found


async def _ask(
    cluster: ClusterClient, node_id: NodeId, partitions: list[TopicPartition]
) -> dict[TopicPartition, _Found]:
    by_topic: dict[str, list[int]] = defaultdict(list)
    for each in partitions:
        by_topic[each.topic].append(each.partition)
    request = DescribeProducersRequest(
        topics=[
            DescribeProducersRequest.TopicRequest(name=name, partition_indexes=numbers)
            for name, numbers in by_topic.items()
        ]
    )
    response: DescribeProducersResponse = await cluster.call(request, node=node_id)
    found: dict[TopicPartition, _Found] = {}
    for topic in response.topics:
        for row in topic.partitions:
            partition = TopicPartition(topic.name, row.partition_index)
            if row.error_code != ErrorCode.NONE:
                found[partition] = _about(partition, broker_error(row.error_code, row.error_message))
            else:
                found[partition] = _open(partition, row.active_producers)
    return found


def _open(
    partition: TopicPartition, producers: Iterable[DescribeProducersResponse.ProducerState]
) -> list[OpenTransaction]:
    return [
        OpenTransaction(
            partition,
            each.producer_id,
            each.producer_epoch,
            each.coordinator_epoch,
            each.current_txn_start_offset,
            each.last_timestamp,
        )
        for each in producers
        if each.current_txn_start_offset >= 0
    ]


def _about(partition: TopicPartition, error: BrokerError) -> BrokerError:
    return about(f"{partition.topic} [{partition.partition}]", error)

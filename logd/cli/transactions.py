"""What transaction coordinators say of transactional ids."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from logd.cli.loaded import ask_when_loaded
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient, broker_error
from logd.clients.coordinators import Coordinators
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse
from protocol.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse
from protocol.types import NodeId, ProducerEpoch, ProducerId, TimestampMs, TopicPartition

_FIRST_VERSION_WITH_DURATION = 1
_ANY_DURATION = -1

#: As the wire spells them; what is not among them is sent as it is, and fits nothing.
_STATES = (
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "PrepareEpochFence",
    "Dead",
)
_SPELLING = {state.lower(): state for state in _STATES}

_UNDER_WAY = frozenset(("Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"))


class ListedTransaction(NamedTuple):
    """A transactional id as its coordinator lists it."""

    transactional_id: str
    node_id: NodeId
    """Of its coordinator."""
    state: str
    producer_id: ProducerId


class Transaction(NamedTuple):
    """A transactional id, and the transaction that is under way if there is one."""

    transactional_id: str
    state: str
    producer_id: ProducerId
    producer_epoch: ProducerEpoch
    timeout_ms: int
    start_ms: TimestampMs | None
    """None while no transaction is under way."""
    partitions: list[TopicPartition]
    """Those that are in it and have not been told of its end; in order."""

    @property
    def is_under_way(self) -> bool:
        return self.state in _UNDER_WAY


async def list_transactions(
    cluster: ClusterClient,
    *,
    states: Sequence[str] = (),
    producer_ids: Sequence[ProducerId] = (),
    longer_than_ms: int | None = None,
    timeout_s: float,
) -> list[ListedTransaction]:
    """All transactional ids of all nodes, in the order of their names. A node that still loads is waited for.

    `states` are spelt in any case; `longer_than_ms`: only transactions under way for longer.
    Raises: BrokerError UNSUPPORTED_VERSION where a node cannot be asked for that.
    """
    request = ListTransactionsRequest(
        state_filters=[_SPELLING.get(state.lower(), state) for state in states],
        producer_id_filters=list(producer_ids),
        duration_filter=_ANY_DURATION if longer_than_ms is None else longer_than_ms,
    )
    nodes = (await cluster.metadata([])).brokers
    answers = await asyncio.gather(*(_list_on(cluster, row.node_id, request, timeout_s) for row in nodes))
    return sorted(listed for answer in answers for listed in answer)


async def _list_on(
    cluster: ClusterClient, node_id: NodeId, request: ListTransactionsRequest, timeout_s: float
) -> list[ListedTransaction]:
    node = await cluster.node(node_id)
    served = node.versions.get(request.API_KEY)
    if (
        request.duration_filter != _ANY_DURATION
        and served is not None
        and served[1] < _FIRST_VERSION_WITH_DURATION
    ):
        text = f"node {node_id} cannot tell how long transactions have been under way"
        raise BrokerError(ErrorCode.UNSUPPORTED_VERSION, text)

    async def ask() -> ListTransactionsResponse:
        answer: ListTransactionsResponse = await cluster.call_on(node, request)
        return answer

    response = await ask_when_loaded(ask, timeout_s)
    return [
        ListedTransaction(row.transactional_id, node_id, row.transaction_state, row.producer_id)
        for row in response.transaction_states
        # Kafka counts the time since -1, or since the last one, where no transaction is under way.
        if request.duration_filter == _ANY_DURATION or row.transaction_state in _UNDER_WAY
    ]


async def describe_transaction(
    cluster: ClusterClient, coordinators: Coordinators, transactional_id: str
) -> Transaction:
    """What the coordinator says of one id. Raises: BrokerError, TRANSACTIONAL_ID_NOT_FOUND where there is none."""

    async def ask(coordinator: Client) -> DescribeTransactionsResponse.TransactionState:
        request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
        response: DescribeTransactionsResponse = await cluster.call_on(coordinator, request)
        row = response.transaction_states[0]
        if row.error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:
            text = f"there is no transactional id {transactional_id}; `logd txn list` lists them"
            raise BrokerError(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND, text)
        if row.error_code != ErrorCode.NONE:
            raise broker_error(row.error_code, None)
        return row

    row = await coordinators.run(transactional_id, ask)
    return Transaction(
        transactional_id,
        row.transaction_state,
        row.producer_id,
        row.producer_epoch,
        row.transaction_timeout_ms,
        row.transaction_start_time_ms if row.transaction_start_time_ms >= 0 else None,
        sorted(TopicPartition(topic.topic, number) for topic in row.topics for number in topic.partitions),
    )

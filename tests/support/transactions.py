"""A transaction coordinator's shard without broker, socket or clock: for tests of what it decides.

Partitions are the test's: what is sent to them lies in the outbox until the test has them answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordinator.internal_records import TRANSACTION_RECORDS
from coordinator.runtime import ShardRuntime
from coordinator.shard import CoordinatorRecord, Effects, EndTxnMarkers, MarkersAnswered
from coordinator.transaction_config import TransactionConfig
from coordinator.transaction_shard import TransactionShard
from coordinator.transactions.records import propose
from coordinator.transactions.transaction import Identity, Transaction
from protocol.errors import ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from protocol.messages.describe_transactions import DescribeTransactionsRequest
from protocol.messages.end_txn import EndTxnRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.types import ProducerId, TopicPartition
from tests.support.shards import Answers, MemoryWriter, ShardWorld, Topics

ID = "orders"
"""The transactional id of tests that need only one."""
P0, P1, P2 = (TopicPartition("t", index) for index in range(3))
COORDINATOR_EPOCH = 3


class ProducerIds:
    """A `ProducerIdSource` that counts from 1000."""

    def __init__(self) -> None:
        self.given: ProducerId = 999
        self.used_up = False

    def next_now(self) -> ProducerId | None:
        if self.used_up:
            return None
        self.given += 1
        return self.given


class Feature:
    """A `TransactionFeature` at a level that the test may change."""

    def __init__(self, level: int) -> None:
        self.level = level


class Outbox:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[EndTxnMarkers] = []

    def send(self, markers: EndTxnMarkers) -> None:
        self.sent.append(markers)


class TransactionWorld(ShardWorld):
    """One shard of transactional ids, and what it sends."""

    def __init__(self, *, level: int = 2, config: TransactionConfig | None = None) -> None:
        super().__init__(Topics(t=3, u=2))
        self.config = TransactionConfig() if config is None else config
        self.feature = Feature(level)
        self.producer_ids = ProducerIds()
        self.coordinator_epoch = COORDINATOR_EPOCH
        self.start()

    def start(self) -> None:
        """Build the shard from the log."""
        self.outbox = Outbox()
        self.writer = MemoryWriter(self.log)
        self.shard = self.replayed()
        self.runtime = ShardRuntime(self.shard, self.writer, Answers(), self.outbox)
        self.runtime.loaded(self.now_ms, len(self.log))

    def restart(self) -> None:
        """Lose the leadership, and all soft state with it, and come back in a later term."""
        self.runtime.resign()
        self.coordinator_epoch += 1
        self.start()

    def given(self, transaction: Transaction) -> None:
        """Have the id be this, as if the log had said so all along."""
        effects = Effects()
        propose(self.shard.state, ID, transaction, effects)
        self.writer.append(effects.records, None, self.now_ms)
        self.start()

    def replayed(self) -> TransactionShard:
        """Return a shard that is built from the log, and was not told yet that it leads."""
        shard = TransactionShard(
            self.config, self.topics, self.producer_ids, self.feature, self.coordinator_epoch
        )
        for offset, record in enumerate(self.records()):
            shard.replay(record, offset, None)
        return shard

    # -- events ------------------------------------------------------------------------------------------

    def answer_markers(self, code: ErrorCode = ErrorCode.NONE, **codes: ErrorCode) -> EndTxnMarkers:
        """Have the partitions of the first send in the outbox say `code`, or what is given as topic_partition."""
        markers = self.outbox.sent.pop(0)
        said = tuple((each, codes.get(f"{each.topic}_{each.partition}", code)) for each in markers.partitions)
        self.runtime.handle(MarkersAnswered(markers, said), self.now_ms)
        return markers

    # -- requests ----------------------------------------------------------------------------------------

    def init(
        self,
        claimed: Identity | None = None,
        *,
        transactional_id: str = ID,
        version: int = 5,
        timeout_ms: int = 60_000,
    ) -> Identity | ErrorCode:
        """Have a producer take the id over; return its identity, or why it did not get one."""
        request = init_request(claimed, transactional_id=transactional_id, timeout_ms=timeout_ms)
        return identity_in(self.call(request, version))

    def add(
        self,
        identity: Identity,
        *partitions: TopicPartition,
        transactional_id: str = ID,
        version: int = 4,
        verify_only: bool = False,
    ) -> ErrorCode | dict[TopicPartition, ErrorCode]:
        """Add partitions; return the one code that all have, else the codes."""
        request = add_request(identity, partitions, transactional_id, version, verify_only=verify_only)
        response = self.call(request, version)
        if version < 4:
            topics = response.results_by_topic_v3_and_below
        else:
            (result,) = response.results_by_transaction
            assert result.transactional_id == transactional_id
            topics = result.topic_results
        codes = {
            TopicPartition(topic.name, each.partition_index): ErrorCode(each.partition_error_code)
            for topic in topics
            for each in topic.results_by_partition
        }
        assert set(codes) == set(partitions)
        return codes.popitem()[1] if len(set(codes.values())) == 1 else codes

    def end(
        self, identity: Identity, *, commit: bool = True, transactional_id: str = ID, version: int = 5
    ) -> Identity | ErrorCode | None:
        """End the transaction; return the identity told to go on with, NONE where none is told, or why it was refused.

        None while the answer waits.
        """
        response = self.call(end_request(identity, commit=commit, transactional_id=transactional_id), version)
        return None if response is None else identity_in(response)

    def describe(self, transactional_id: str = ID) -> Any:
        response = self.call(DescribeTransactionsRequest(transactional_ids=[transactional_id]))
        (described,) = response.transaction_states
        return described

    # -- what came of it -----------------------------------------------------------------------------------

    @property
    def transaction(self) -> Transaction:
        return self.shard.state.transactions[ID]

    @property
    def identity(self) -> Identity:
        """Whom the coordinator takes for the producer."""
        return self.transaction.identity

    def records(self, since: int = 0) -> list[CoordinatorRecord]:
        """Return what was written, from an offset on."""
        decoded = [TRANSACTION_RECORDS.decode(written.key, written.value) for written in self.log[since:]]
        return [record for record in decoded if record is not None]

    def check_replay(self) -> None:
        """What serving built is what the log says."""
        served, replayed = self.shard.state, self.replayed().state
        assert served.transactions == replayed.transactions
        assert set(served.ongoing) == set(replayed.ongoing)
        assert set(served.decided) == set(replayed.decided)


def init_request(
    claimed: Identity | None = None, *, transactional_id: str = ID, timeout_ms: int = 60_000
) -> InitProducerIdRequest:
    request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=timeout_ms)
    if claimed is not None:
        request.producer_id, request.producer_epoch = claimed
    return request


def add_request(
    identity: Identity,
    partitions: Iterable[TopicPartition],
    transactional_id: str = ID,
    version: int = 4,
    *,
    verify_only: bool = False,
) -> AddPartitionsToTxnRequest:
    topics: dict[str, list[int]] = {}
    for topic, index in partitions:
        topics.setdefault(topic, []).append(index)
    asked = [
        AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=name, partitions=indexes)
        for name, indexes in topics.items()
    ]
    if version < 4:
        assert not verify_only
        return AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=identity.producer_id,
            v3_and_below_producer_epoch=identity.producer_epoch,
            v3_and_below_topics=asked,
        )
    one = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
        transactional_id=transactional_id,
        producer_id=identity.producer_id,
        producer_epoch=identity.producer_epoch,
        verify_only=verify_only,
        topics=asked,
    )
    return AddPartitionsToTxnRequest(transactions=[one])


def end_request(identity: Identity, *, commit: bool, transactional_id: str = ID) -> EndTxnRequest:
    return EndTxnRequest(
        transactional_id=transactional_id,
        producer_id=identity.producer_id,
        producer_epoch=identity.producer_epoch,
        committed=commit,
    )


def identity_in(response: Any) -> Identity | ErrorCode:
    """Return what a response tells: an error, or an identity; NONE for neither."""
    code = response if isinstance(response, ErrorCode) else ErrorCode(response.error_code)
    if code or response.producer_id == -1:
        return code
    return Identity(response.producer_id, response.producer_epoch)

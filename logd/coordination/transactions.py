"""The transaction coordinator of this node: its topic, its settings, and what partitions ask it.

A node that is sent a batch, or a marker, is here always the one that coordinates, or leads: there is one node. Where
there will be several, `TransactionCoordinator.add` and `MarkerOutbox` are the two places that ask others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from coordinator.internal_records import TRANSACTION_RECORDS
from coordinator.shard import Caller
from coordinator.transaction_shard import TransactionShard
from logd.config.transaction_keys import transaction_config, transaction_values
from logd.coordination.catalog import ImageCatalog
from logd.coordination.host import CoordinatorHost, InternalTopic
from logd.coordination.outbox import MarkerOutbox
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from protocol.types import TopicPartition
from replication.features import TRANSACTION_VERSION
from replication.topic_names import TRANSACTION_TOPIC

if TYPE_CHECKING:
    from coordinator.shard import MarkersAnswered
    from logd.coordination.host import ShardFactory
    from logd.node import Node
    from logd.producer_ids import ProducerIds
    from protocol.types import LeaderEpoch, ProducerEpoch, ProducerId
    from replication.metadata_image import MetadataImage

_ADD_VERSION: Final = 5
"""Of AddPartitionsToTxn, as a broker sends it."""

_ADD_TIMEOUT_MS: Final = 30_000
"""How long brokers wait for each other (Kafka: request.timeout.ms)."""

_Topic = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic


class TransactionCoordinator(CoordinatorHost):
    """Hosts the shards of transactions; a `logd.node.TransactionVerifier`, too."""

    def __init__(self, node: Node, topic: InternalTopic, new_shard: ShardFactory) -> None:
        super().__init__(node, topic, TRANSACTION_RECORDS, new_shard, self._new_outbox)
        self._ending: dict[str, asyncio.Event] = {}
        """By transactional id: set once the markers under way have been answered; for those who wait for that."""

    def _new_outbox(self, answered: Callable[[MarkersAnswered], None]) -> MarkerOutbox:
        def told(news: MarkersAnswered) -> None:
            answered(news)
            ending = self._ending.pop(news.markers.transactional_id, None)
            if ending is not None:
                ending.set()

        return MarkerOutbox(self._node, told)

    async def until_ended(self, transactional_id: str, timeout_s: float) -> None:
        """See `TransactionVerifier.until_ended`."""
        ending = self._ending.setdefault(transactional_id, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_s):
                await ending.wait()
        except TimeoutError:
            if self._ending.get(transactional_id) is ending:
                del self._ending[transactional_id]

    async def add(
        self,
        transactional_id: str,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        partitions: Collection[TopicPartition],
        *,
        verify_only: bool,
    ) -> Mapping[TopicPartition, ErrorCode]:
        """See `TransactionVerifier.add`."""
        by_topic: dict[str, list[int]] = {}
        for topic, index in partitions:
            by_topic.setdefault(topic, []).append(index)
        request = AddPartitionsToTxnRequest(
            transactions=[
                AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction(
                    transactional_id=transactional_id,
                    producer_id=producer_id,
                    producer_epoch=producer_epoch,
                    verify_only=verify_only,
                    topics=[_Topic(name=topic, partitions=indexes) for topic, indexes in by_topic.items()],
                )
            ]
        )
        asking = self.ask_for(transactional_id, request, Caller(_ADD_VERSION, "", ""))
        try:
            answer = await within(_ADD_TIMEOUT_MS, asking)
        except TimeoutError:
            return dict.fromkeys(partitions, ErrorCode.NETWORK_EXCEPTION)
        except BrokerError as refusal:
            return dict.fromkeys(partitions, refusal.code)
        assert isinstance(answer, AddPartitionsToTxnResponse)
        (result,) = answer.results_by_transaction
        return {
            TopicPartition(topic.name, row.partition_index): ErrorCode(row.partition_error_code)
            for topic in result.topic_results
            for row in topic.results_by_partition
        }


def transaction_coordinator(node: Node) -> TransactionCoordinator:
    """Return the coordinator; it serves the partitions of its topic that this node leads, from now on."""
    image = node.metadata.image
    config = transaction_config(node.config.values)
    catalog = ImageCatalog(image)
    producer_ids = FetchedProducerIds(node.producer_ids)
    feature = ImageFeature(image)

    def new_shard(leader_epoch: LeaderEpoch) -> TransactionShard:
        return TransactionShard(config, catalog, producer_ids, feature, leader_epoch)

    return TransactionCoordinator(node, _topic(node), new_shard)


def _topic(node: Node) -> InternalTopic:
    """Compacted, so that the last word on every transactional id stays. As Kafka makes it."""
    values = transaction_values(node.config.values)
    return InternalTopic(
        TRANSACTION_TOPIC,
        int(str(values["transaction.state.log.num.partitions"])),
        int(str(values["transaction.state.log.replication.factor"])),
        [
            ("cleanup.policy", "compact"),
            ("compression.type", "uncompressed"),
            ("min.insync.replicas", str(values["transaction.state.log.min.isr"])),
            ("segment.bytes", str(values["transaction.state.log.segment.bytes"])),
            ("unclean.leader.election.enable", "false"),
        ],
    )


class FetchedProducerIds:
    """A `coordinator.ports.ProducerIdSource`: who finds no id has a block fetched, and is not kept waiting."""

    __slots__ = ("_ids",)

    def __init__(self, ids: ProducerIds) -> None:
        self._ids = ids

    def next_now(self) -> ProducerId | None:
        producer_id = self._ids.next_now()
        if producer_id is None:
            self._ids.fetch()
        return producer_id


class ImageFeature:
    """A `coordinator.ports.TransactionFeature` over the metadata."""

    __slots__ = ("_image",)

    def __init__(self, image: MetadataImage) -> None:
        self._image = image

    @property
    def level(self) -> int:
        return self._image.features.get(TRANSACTION_VERSION, 0)

"""A group coordinator's shard for tests of committed offsets: requests in short, transactions, what is committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coordinator.group_config import GroupConfig
from coordinator.internal_records import encode_key, encode_value
from coordinator.shard import CoordinatorRecord, TopicsChanged, TransactionalProducer
from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.messages.offset_commit import OffsetCommitRequest
from protocol.messages.offset_delete import OffsetDeleteRequest
from protocol.messages.offset_fetch import OffsetFetchRequest
from protocol.messages.records_group import OffsetCommitKey, OffsetCommitValue
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest
from protocol.types import ZERO_UUID
from tests.support.classic_groups import GROUP, ClassicWorld
from tests.support.shards import Topics, Written

UNKNOWN_ID = b"no topic has it."

Codes = dict[tuple[str, int], ErrorCode]
"""By topic and partition."""


class OffsetWorld(ClassicWorld):
    """A shard with topics `t` and `u` of three partitions each, unless given others."""

    def __init__(self, config: GroupConfig | None = None, topics: Topics | None = None) -> None:
        super().__init__(config, Topics(t=3, u=3) if topics is None else topics)

    # -- requests ------------------------------------------------------------------------------------------

    def commit_request(
        self,
        *offsets: tuple[str, int, int],
        version: int = 10,
        group_id: str = GROUP,
        member_id: str = "",
        generation_id: int = -1,
        instance_id: str | None = None,
        retention_ms: int = -1,
        metadata: str | None = "",
        leader_epoch: int = -1,
    ) -> OffsetCommitRequest:
        """Each offset is (topic, partition, offset), in an entry of its own."""
        return OffsetCommitRequest(
            group_id=group_id,
            generation_id_or_member_epoch=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
            retention_time_ms=retention_ms,
            topics=[
                OffsetCommitRequest.OffsetCommitRequestTopic(
                    **self._named(topic, by_id=version >= 10),
                    partitions=[
                        OffsetCommitRequest.OffsetCommitRequestPartition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_leader_epoch=leader_epoch,
                            committed_metadata=metadata,
                        )
                    ],
                )
                for topic, partition, offset in offsets
            ],
        )

    def txn_commit_request(
        self,
        producer: TransactionalProducer,
        *offsets: tuple[str, int, int],
        version: int = 6,
        group_id: str = GROUP,
        member_id: str = "",
        generation_id: int = -1,
        instance_id: str | None = None,
        metadata: str | None = "",
        leader_epoch: int = -1,
    ) -> TxnOffsetCommitRequest:
        """As `commit_request`, in a producer's transaction."""
        return TxnOffsetCommitRequest(
            transactional_id="id",
            group_id=group_id,
            producer_id=producer.producer_id,
            producer_epoch=producer.producer_epoch,
            generation_id_or_member_epoch=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
            topics=[
                TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(
                    **self._named(topic, by_id=version >= 6),
                    partitions=[
                        TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_leader_epoch=leader_epoch,
                            committed_metadata=metadata,
                        )
                    ],
                )
                for topic, partition, offset in offsets
            ],
        )

    def commit_offsets(self, *offsets: tuple[str, int, int], version: int = 10, **options: Any) -> Codes:
        """Commit; return the code of each partition."""
        return self._codes(self.call(self.commit_request(*offsets, version=version, **options), version))

    def commit_in_transaction(
        self,
        producer: TransactionalProducer,
        *offsets: tuple[str, int, int],
        version: int = 6,
        **options: Any,
    ) -> Codes:
        """Commit once the transaction does; return the code of each partition."""
        request = self.txn_commit_request(producer, *offsets, version=version, **options)
        return self._codes(self.call(request, version))

    def fetch_request(
        self,
        topics: Mapping[str, list[int]] | None,
        *,
        version: int = 10,
        group_id: str = GROUP,
        stable: bool = False,
        member_id: str | None = None,
        member_epoch: int = -1,
    ) -> OffsetFetchRequest:
        if version < 8:
            flat = OffsetFetchRequest.OffsetFetchRequestTopic
            asked = None if topics is None else [flat(name=n, partition_indexes=p) for n, p in topics.items()]
            return OffsetFetchRequest(group_id=group_id, topics=asked, require_stable=stable)
        new = OffsetFetchRequest.OffsetFetchRequestTopics
        group = OffsetFetchRequest.OffsetFetchRequestGroup(
            group_id=group_id,
            member_id=member_id,
            member_epoch=member_epoch,
            topics=None
            if topics is None
            else [new(**self._named(n, by_id=version >= 10), partition_indexes=p) for n, p in topics.items()],
        )
        return OffsetFetchRequest(groups=[group], require_stable=stable)

    def fetch(self, topics: Mapping[str, list[int]] | None, *, version: int = 10, **options: Any) -> Any:
        """Fetch; return the response of versions before 8, else the group in it."""
        response = self.call(self.fetch_request(topics, version=version, **options), version)
        return response if version < 8 else response.groups[0]

    def committed(self, group_id: str = GROUP) -> dict[tuple[str, int], int]:
        """Return all that a group has committed, as a client sees it."""
        group = self.fetch(None, version=9, group_id=group_id)
        return {(t.name, p.partition_index): p.committed_offset for t in group.topics for p in t.partitions}

    def delete_offsets(self, *partitions: tuple[str, int], group_id: str = GROUP) -> Any:
        topics = [
            OffsetDeleteRequest.OffsetDeleteRequestTopic(
                name=topic,
                partitions=[OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=index)],
            )
            for topic, index in partitions
        ]
        return self.call(OffsetDeleteRequest(group_id=group_id, topics=topics))

    # -- records -------------------------------------------------------------------------------------------

    def write(
        self, key: Message, value: Message | None, producer: TransactionalProducer | None = None
    ) -> None:
        """Put a record in the log and have it replayed."""
        encoded = None if value is None else encode_value(value)
        self.log.append(Written(encode_key(key), encoded, producer))
        self.writer.high_watermark = len(self.log)
        self.shard.replay(CoordinatorRecord(key, value), len(self.log) - 1, producer)

    def pend(
        self, producer_id: int, topic: str, partition: int, offset: int, group_id: str = GROUP
    ) -> TransactionalProducer:
        """Have a transaction hold an offset."""
        producer = TransactionalProducer(producer_id, 0)
        value = OffsetCommitValue(offset=offset, commit_timestamp=self.now_ms)
        self.write(OffsetCommitKey(group=group_id, topic=topic, partition=partition), value, producer)
        return producer

    def news_of_deletion(self, topic: str, topic_id: bytes) -> None:
        """The shard hears of a deleted topic; the catalog may have another of that name by now."""
        self.runtime.handle(TopicsChanged((topic,), (topic_id,)), self.now_ms)

    def _codes(self, response: Any) -> Codes:
        return {
            (topic.name or self._name(topic.topic_id), partition.partition_index): ErrorCode(
                partition.error_code
            )
            for topic in response.topics
            for partition in topic.partitions
        }

    def _named(self, topic: str, *, by_id: bool) -> dict[str, Any]:
        if not by_id:
            return {"name": topic}
        return {"topic_id": self.topics.topic_id(topic) or UNKNOWN_ID}

    def _name(self, topic_id: bytes) -> str:
        return self.topics.topic_name(topic_id) or ("?" if topic_id != ZERO_UUID else "")

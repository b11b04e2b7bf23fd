"""The offsets that groups committed, and those that open transactions may yet commit.

    record ──────────────► committed        record of a producer ──► pending ──┬─ commit ──► committed
                                                                               └─ abort ───► gone

By group, topic and partition. Several transactions may have a pending offset for one partition; the later record wins,
whichever marker comes first, as it does in the compacted log. A tombstone removes what is pending, too.
Invariant: no empty map is kept at any level; `_open` names exactly the partitions that some producer has pending.
Changed by replay alone. Not here: whose groups they are, and when they expire.
Source: KIP-98, KIP-447; Kafka group-coordinator, OffsetMetadataManager.java.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Set
from typing import Final, NamedTuple, TypeAlias, TypeVar

from protocol.types import LeaderEpoch, Offset, ProducerId, TimestampMs

NEVER: Final = -1
"""Expire timestamp of an offset that expires as the group's retention says."""

SINCE_COMMIT: Final = -1
"""Time from which offsets of a group expire, where that is each one's own commit."""


class CommittedOffset(NamedTuple):
    """What a group committed for a partition."""

    offset: Offset
    """Next to be read."""
    leader_epoch: LeaderEpoch
    """Of the record before; -1 where the client did not say."""
    metadata: str
    commit_timestamp_ms: TimestampMs
    expire_timestamp_ms: TimestampMs
    """When it expires, whatever the retention: clients before OffsetCommit 5 may say so. Else `NEVER`."""
    topic_id: bytes
    """Of the topic when it was committed; zeros where the record does not tell."""
    record_offset: Offset
    """Where its record is."""


TopicOffsets: TypeAlias = Mapping[str, Mapping[int, CommittedOffset]]
"""By topic and partition."""

_Offsets: TypeAlias = dict[str, dict[str, dict[int, CommittedOffset]]]
_NO_OFFSETS: Final[TopicOffsets] = {}
_T = TypeVar("_T")


class OffsetStore:
    """All offsets of a shard."""

    __slots__ = ("_committed", "_open", "_pending")

    def __init__(self) -> None:
        self._committed: _Offsets = {}
        self._pending: dict[ProducerId, _Offsets] = {}
        """By whose transaction they are part of."""
        self._open: dict[str, dict[str, dict[int, set[ProducerId]]]] = {}
        """Who has an offset pending, by group, topic and partition."""

    # -- reading -------------------------------------------------------------------------------------------

    def groups(self) -> list[str]:
        """Return the groups that have committed or pending offsets."""
        return list(self._committed.keys() | self._open.keys())

    def of_group(self, group_id: str) -> TopicOffsets:
        """Return what a group has committed; a view that changes with it."""
        return self._committed.get(group_id, _NO_OFFSETS)

    def get(self, group_id: str, topic: str, partition: int) -> CommittedOffset | None:
        """Return the committed offset of one partition."""
        return self._committed.get(group_id, _NO_OFFSETS).get(topic, {}).get(partition)

    def has_pending(self, group_id: str) -> bool:
        """Whether an open transaction may yet commit an offset of the group."""
        return group_id in self._open

    def is_pending(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether an open transaction may yet commit an offset for the partition."""
        return partition in self._open.get(group_id, {}).get(topic, ())

    def partitions(self, group_id: str) -> Iterator[tuple[str, int]]:
        """Yield topic and partition of every committed or pending offset of a group, once."""
        committed = self._committed.get(group_id, {})
        for topic, partitions in committed.items():
            for partition in partitions:
                yield topic, partition
        for topic, producers in self._open.get(group_id, {}).items():
            known = committed.get(topic, ())
            for partition in producers:
                if partition not in known:
                    yield topic, partition

    def exists(self, group_id: str, topic: str, partition: int) -> bool:
        """Whether an offset is committed or pending for the partition."""
        return self.get(group_id, topic, partition) is not None or self.is_pending(group_id, topic, partition)

    def topics_among(self, group_id: str, topics: Set[str]) -> set[str]:
        """Return those of the topics for which the group has committed or pending offsets."""
        committed = self._committed.get(group_id, {}).keys() & topics
        return committed | (self._open.get(group_id, {}).keys() & topics)

    def of_topic(self, group_id: str, topic: str, topic_ids: Container[bytes]) -> list[int]:
        """Return the partitions that have an offset, committed or pending, for the topic under one of the ids."""
        partitions = {
            partition
            for partition, committed in self._committed.get(group_id, {}).get(topic, {}).items()
            if committed.topic_id in topic_ids
        }
        for partition, producers in self._open.get(group_id, {}).get(topic, {}).items():
            for producer_id in producers:
                if self._pending[producer_id][group_id][topic][partition].topic_id in topic_ids:
                    partitions.add(partition)
        return sorted(partitions)

    # -- replay --------------------------------------------------------------------------------------------

    def put(self, group_id: str, topic: str, partition: int, committed: CommittedOffset) -> None:
        """An offset was committed outside of a transaction."""
        _put(self._committed, group_id, topic, partition, committed)

    def put_pending(
        self, group_id: str, topic: str, partition: int, committed: CommittedOffset, producer_id: ProducerId
    ) -> None:
        """A transaction holds an offset, which takes the place of what it held for the partition before."""
        _put(self._pending.setdefault(producer_id, {}), group_id, topic, partition, committed)
        producers = self._open.setdefault(group_id, {}).setdefault(topic, {}).setdefault(partition, set())
        producers.add(producer_id)

    def remove(self, group_id: str, topic: str, partition: int) -> None:
        """Forget what is committed and pending for a partition."""
        _remove(self._committed, group_id, topic, partition)
        for producer_id in self._open.get(group_id, {}).get(topic, {}).get(partition, ()):
            pending = self._pending[producer_id]
            _remove(pending, group_id, topic, partition)
            if not pending:
                del self._pending[producer_id]
        _remove(self._open, group_id, topic, partition)

    def end_transaction(self, producer_id: ProducerId, *, commit: bool) -> None:
        """The offsets that a producer's transaction holds are committed, or gone."""
        for group_id, topics in self._pending.pop(producer_id, {}).items():
            for topic, partitions in topics.items():
                for partition, pending in partitions.items():
                    self._close(group_id, topic, partition, producer_id)
                    if not commit:
                        continue
                    committed = self.get(group_id, topic, partition)
                    if committed is None or committed.record_offset < pending.record_offset:
                        self.put(group_id, topic, partition, pending)

    def _close(self, group_id: str, topic: str, partition: int, producer_id: ProducerId) -> None:
        producers = self._open[group_id][topic][partition]
        producers.discard(producer_id)
        if not producers:
            _remove(self._open, group_id, topic, partition)


def _put(offsets: _Offsets, group_id: str, topic: str, partition: int, committed: CommittedOffset) -> None:
    topics = offsets.get(group_id)
    if topics is None:
        topics = offsets[group_id] = {}
    partitions = topics.get(topic)
    if partitions is None:
        partitions = topics[topic] = {}
    partitions[partition] = committed


def _remove(tree: dict[str, dict[str, dict[int, _T]]], group_id: str, topic: str, partition: int) -> None:
    """Take out a leaf, and the maps that are empty then."""
    topics = tree.get(group_id)
    partitions = None if topics is None else topics.get(topic)
    if topics is None or partitions is None:
        return
    partitions.pop(partition, None)
    if not partitions:
        del topics[topic]
        if not topics:
            del tree[group_id]

"""The way from a transaction's coordinator to the partitions that are to be told how it ended.

A send is split by leader, and its shard is told once, when every partition has said something. What this node leads is
written here, in slices that leave room for clients where a transaction has very many partitions. There is no way to
other nodes yet: their partitions are answered for with NOT_LEADER_OR_FOLLOWER, on which the shard tries again, as it
does while a partition has no leader.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from coordinator.shard import EndTxnMarkers, MarkersAnswered, TransactionalProducer, TransactionMarker
from logd.coordination.markers import write_marker
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from logd.node import Node
    from protocol.types import NodeId, TopicPartition

#: Markers written in one turn: a few milliseconds. The first slice is written at once, so that nearly every transaction
#: can be read by the time that its producer hears of its end.
_SLICE: Final = 100


class MarkerOutbox:
    """The `coordinator.ports.Outbox` of one shard."""

    __slots__ = ("_answered", "_node")

    def __init__(self, node: Node, answered: Callable[[MarkersAnswered], None]) -> None:
        """`answered` is called in a turn of its own."""
        self._node = node
        self._answered = answered

    def send(self, markers: EndTxnMarkers) -> None:
        """See `coordinator.ports.Outbox.send`."""
        replies = _Replies(markers, self._all_replied)
        by_leader: defaultdict[NodeId | None, list[TopicPartition]] = defaultdict(list)
        for partition in markers.partitions:
            by_leader[self._leader_of(partition)].append(partition)
        for leader, partitions in by_leader.items():
            if leader is None:
                replies.take_all(partitions, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            elif leader == self._node.node_id:
                self._write_here(markers, partitions, replies)
            else:
                replies.take_all(partitions, ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def _leader_of(self, partition: TopicPartition) -> NodeId | None:
        """Return who leads a partition, or `NO_LEADER`; None where there is no such partition."""
        topic = self._node.metadata.image.topics.get(partition.topic)
        state = None if topic is None else topic.partitions.get(partition.partition)
        return None if state is None else state.leader_id

    def _write_here(
        self, markers: EndTxnMarkers, partitions: Collection[TopicPartition], replies: _Replies
    ) -> None:
        marker = TransactionMarker(
            TransactionalProducer(markers.producer_id, markers.producer_epoch),
            markers.committed,
            markers.coordinator_epoch,
            markers.transaction_version,
        )
        self._write_slice(marker, iter(partitions), len(partitions), replies)

    def _write_slice(
        self, marker: TransactionMarker, partitions: Iterator[TopicPartition], left: int, replies: _Replies
    ) -> None:
        for partition in islice(partitions, _SLICE):
            write_marker(self._node, partition, marker, partial(replies.take, partition))
        if left > _SLICE:
            self._node.loop.call_soon(self._write_slice, marker, partitions, left - _SLICE, replies)

    def _all_replied(self, answered: MarkersAnswered) -> None:
        self._node.loop.call_soon(self._answered, answered)


class _Replies:
    """What the partitions of one send have said so far; tells of it when all have."""

    __slots__ = ("_codes", "_complete", "_markers")

    def __init__(self, markers: EndTxnMarkers, complete: Callable[[MarkersAnswered], None]) -> None:
        self._markers = markers
        self._complete = complete
        self._codes: dict[TopicPartition, ErrorCode] = {}

    def take(self, partition: TopicPartition, code: ErrorCode) -> None:
        assert partition not in self._codes, "a partition says so once"
        self._codes[partition] = code
        if len(self._codes) == len(self._markers.partitions):
            self._complete(MarkersAnswered(self._markers, tuple(self._codes.items())))

    def take_all(self, partitions: Iterable[TopicPartition], code: ErrorCode) -> None:
        for partition in partitions:
            self.take(partition, code)

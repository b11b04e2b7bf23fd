"""OffsetFetch: what groups have committed.

A partition without offset, and every partition of an unknown group, has offset -1 and no error. Without a list of
topics, all that the group has committed is told. What was committed for an earlier topic of the name is not told under
the id of a later one; Kafka looks at that only where topics are named. Who wants stable offsets (KIP-447) gets
UNSTABLE_OFFSET_COMMIT for a partition while a transaction may yet move its offset.
Versions 1–10. 2: all topics, an error of the group. 5: leader epoch. 7: stable offsets. 8: several groups (KIP-709).
9: members of KIP-848 say who they are. 10: topic ids; one that is not known gets UNKNOWN_TOPIC_ID, and topics that are
no more are left out where all are told.
Source: Kafka KafkaApis.scala, OffsetMetadataManager.java.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from coordinator.group_kinds import kind_of
from protocol.errors import ErrorCode
from protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from protocol.types import ZERO_UUID

if TYPE_CHECKING:
    from coordinator.group_state import GroupState
    from coordinator.offsets.store import CommittedOffset
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_GROUPS: Final = 8
_FIRST_VERSION_WITH_TOPIC_IDS: Final = 10
_NO_OFFSET: Final = -1

_FlatTopic = OffsetFetchResponse.OffsetFetchResponseTopic
_FlatPartition = OffsetFetchResponse.OffsetFetchResponsePartition
_GroupTopic = OffsetFetchResponse.OffsetFetchResponseTopics
_GroupPartition = OffsetFetchResponse.OffsetFetchResponsePartitions
_AnsweredGroup = OffsetFetchResponse.OffsetFetchResponseGroup


class _AskedTopic(NamedTuple):
    name: str
    """Empty where the id is not known."""
    topic_id: bytes
    partitions: Iterable[int]


def fetch(state: GroupState, call: Call, _now_ms: TimestampMs, effects: Effects) -> None:
    """Answer for every group of the request; all belong to this shard."""
    request = cast("OffsetFetchRequest", call.request)
    if call.caller.version < _FIRST_VERSION_WITH_GROUPS:
        asked = None if request.topics is None else [_by_name(topic) for topic in request.topics]
        answers = _Answers(state, request.group_id, request.require_stable, _FlatPartition)
        topics = [
            _FlatTopic(name=topic.name, partitions=answers.partitions(topic))
            for topic in (answers.all_topics() if asked is None else asked)
        ]
        effects.answer(call.waiter, OffsetFetchResponse(topics=topics))
    else:
        by_id = call.caller.version >= _FIRST_VERSION_WITH_TOPIC_IDS
        groups = [_group(state, group, request.require_stable, by_id) for group in request.groups]
        effects.answer(call.waiter, OffsetFetchResponse(groups=groups))


def _by_name(topic: Any) -> _AskedTopic:
    return _AskedTopic(topic.name, ZERO_UUID, topic.partition_indexes)


def _group(
    state: GroupState, request: OffsetFetchRequest.OffsetFetchRequestGroup, stable: bool, by_id: bool
) -> _AnsweredGroup:
    group = state.groups.get(request.group_id)
    if group is not None:
        refusal = kind_of(group).refuse_fetch(group, request.member_id, request.member_epoch)
        if refusal:
            return _AnsweredGroup(group_id=request.group_id, error_code=refusal)
    answers = _Answers(state, request.group_id, stable, _GroupPartition)
    topics: Sequence[_AskedTopic]
    if request.topics is None:
        topics = answers.all_topics()
        if by_id:
            topics = [
                topic._replace(topic_id=topic_id)
                for topic in topics
                if (topic_id := state.catalog.topic_id(topic.name)) is not None
            ]
    elif by_id:
        topics = [
            _AskedTopic(
                state.catalog.topic_name(topic.topic_id) or "", topic.topic_id, topic.partition_indexes
            )
            for topic in request.topics
        ]
    else:
        topics = [_by_name(topic) for topic in request.topics]
    return _AnsweredGroup(
        group_id=request.group_id,
        topics=[
            _GroupTopic(
                name=topic.name,
                topic_id=topic.topic_id,
                partitions=answers.unknown(topic) if by_id and not topic.name else answers.partitions(topic),
            )
            for topic in topics
        ],
    )


class _Answers:
    """Makes the answers about one group, in the layout of one version."""

    __slots__ = ("_group_id", "_new", "_offsets", "_stable", "_state")

    def __init__(self, state: GroupState, group_id: str, stable: bool, new: Callable[..., Any]) -> None:
        self._state = state
        self._group_id = group_id
        self._stable = stable and state.offsets.has_pending(group_id)
        """Whether pending offsets are to be looked for."""
        self._offsets = state.offsets.of_group(group_id)
        self._new = new

    def all_topics(self) -> list[_AskedTopic]:
        """Return all for which something is committed."""
        return [_AskedTopic(name, ZERO_UUID, partitions) for name, partitions in self._offsets.items()]

    def partitions(self, topic: _AskedTopic) -> list[Any]:
        committed = self._offsets.get(topic.name, {})
        return [self._partition(topic, index, committed.get(index)) for index in topic.partitions]

    def unknown(self, topic: _AskedTopic) -> list[Any]:
        """Answer for a topic whose id is not known."""
        return [self._none(index, ErrorCode.UNKNOWN_TOPIC_ID) for index in topic.partitions]

    def _partition(self, topic: _AskedTopic, index: int, committed: CommittedOffset | None) -> Any:
        if self._stable and self._state.offsets.is_pending(self._group_id, topic.name, index):
            return self._none(index, ErrorCode.UNSTABLE_OFFSET_COMMIT)
        if committed is None or not _may_be_of(committed, topic.topic_id):
            return self._none(index, ErrorCode.NONE)
        return self._new(
            partition_index=index,
            committed_offset=committed.offset,
            committed_leader_epoch=committed.leader_epoch,
            metadata=committed.metadata,
        )

    def _none(self, index: int, code: ErrorCode) -> Any:
        return self._new(partition_index=index, committed_offset=_NO_OFFSET, error_code=code)


def _may_be_of(committed: CommittedOffset, topic_id: bytes) -> bool:
    """Whether an offset is of the topic with an id; there, and in the record, zeros stand for any."""
    return committed.topic_id == topic_id or ZERO_UUID in (committed.topic_id, topic_id)

"""TxnOffsetCommit: what a transaction will have read once it commits.

    partition unknown                    UNKNOWN_TOPIC_OR_PARTITION, from version 6 on UNKNOWN_TOPIC_ID of a topic
    group without a name                 INVALID_GROUP_ID; on every partition that exists
    group unknown, generation given      ILLEGAL_GENERATION, from version 6 on GROUP_ID_NOT_FOUND
    not a member, wrong generation       as the kind of the group says; on every partition that exists
    metadata longer than is allowed      OFFSET_METADATA_TOO_LARGE, on that partition alone
    else                                 one record for each partition, all in one batch of the transaction

The records are pending until the marker of the transaction arrives in this partition (`offsets.replay`). Whoever says
nothing of a member (versions before 3 cannot) may commit to any group: the transaction alone fences him. That the
group is rebalancing does not matter either, nor does such a commit show that its sender is alive.
Whether the producer may still write, the log decides when the batch is appended; that the partition is part of the
transaction, the transaction coordinator, before this is asked.
Versions 0–6. 2: leader epoch (KIP-320). 3: member, generation, static members (KIP-447). 6: topic ids, and errors in
the words of the consumer protocol (KIP-1319).
Source: Kafka KafkaApis.scala, OffsetMetadataManager.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from coordinator.group_kinds import kind_of
from coordinator.offsets.proposal import find_partitions, propose, refuse_all
from coordinator.shard import TransactionalProducer
from protocol.errors import ErrorCode
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from coordinator.group_state import GroupState
    from coordinator.offsets.asked import OffsetToCommit
    from coordinator.shard import Call, Effects
    from protocol.types import TimestampMs

_FIRST_VERSION_WITH_TOPIC_IDS: Final = 6

_OLD_WORDS: Final = {
    ErrorCode.GROUP_ID_NOT_FOUND: ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.STALE_MEMBER_EPOCH: ErrorCode.ILLEGAL_GENERATION,
}
"""What producers before version 6 do not know."""

_Topic = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic
_Partition = TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition


def commit_in_transaction(state: GroupState, call: Call, now_ms: TimestampMs, effects: Effects) -> None:
    """Propose a record of the transaction for each offset that may be committed with it."""
    request = cast("TxnOffsetCommitRequest", call.request)
    new = call.caller.version >= _FIRST_VERSION_WITH_TOPIC_IDS
    offsets, topics = find_partitions(state.catalog, request.topics, _Topic, _Partition, by_id=new)
    if offsets:
        refusal = _refusal(state, request, offsets)
        if refusal:
            refuse_all(offsets, refusal if new else _OLD_WORDS.get(refusal, refusal))
        else:
            effects.producer = TransactionalProducer(request.producer_id, request.producer_epoch)
            propose(state, request.group_id, offsets, now_ms, effects)
    effects.answer(call.waiter, TxnOffsetCommitResponse(topics=topics))


def _refusal(
    state: GroupState, request: TxnOffsetCommitRequest, offsets: Sequence[OffsetToCommit]
) -> ErrorCode:
    """Return what the whole of the request is refused with, else NONE."""
    if not request.group_id:
        return ErrorCode.INVALID_GROUP_ID
    epoch = request.generation_id_or_member_epoch
    group = state.groups.get(request.group_id)
    if group is None:
        return ErrorCode.NONE if epoch < 0 else ErrorCode.GROUP_ID_NOT_FOUND
    return kind_of(group).refuse_transactional_commit(
        group, request.member_id, request.group_instance_id, epoch, offsets
    )

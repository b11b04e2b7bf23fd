"""What a commit asks of one partition, with the place for its answer: the same for OffsetCommit and TxnOffsetCommit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
    from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse


class OffsetToCommit(NamedTuple):
    """One partition of a commit that exists."""

    topic: str
    topic_id: bytes
    asked: (
        OffsetCommitRequest.OffsetCommitRequestPartition
        | TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition
    )
    answer: (
        OffsetCommitResponse.OffsetCommitResponsePartition
        | TxnOffsetCommitResponse.TxnOffsetCommitResponsePartition
    )

"""Control records read into the messages of Kafka's schemas: for those who look closely, which serving does not.

The value of a control record is a message whose first field is its own version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.codec import reader_for
from protocol.control_records import ControlType, control_type
from protocol.messages.message import Message
from protocol.messages.records_control import (
    EndTxnMarker,
    KRaftVersionRecord,
    LeaderChangeMessage,
    SnapshotFooterRecord,
    SnapshotHeaderRecord,
    VotersRecord,
)
from protocol.primitives import read_int16
from protocol.records import iter_records

if TYPE_CHECKING:
    from protocol.types import Buffer, NodeId

_MESSAGES: Final[dict[ControlType, type[Message]]] = {
    ControlType.ABORT: EndTxnMarker,
    ControlType.COMMIT: EndTxnMarker,
    ControlType.LEADER_CHANGE: LeaderChangeMessage,
    ControlType.SNAPSHOT_HEADER: SnapshotHeaderRecord,
    ControlType.SNAPSHOT_FOOTER: SnapshotFooterRecord,
    ControlType.KRAFT_VERSION: KRaftVersionRecord,
    ControlType.KRAFT_VOTERS: VotersRecord,
}


def decode_control(kind: ControlType, value: Buffer) -> tuple[Message, int]:
    """Return the message in `value`, and the version in which it was read: of later ones, the latest that is known.

    Raises: ProtocolViolation.
    """
    message_type = _MESSAGES[kind]
    first, last = message_type.VERSIONS
    version = max(first, min(read_int16(value, 0)[0], last))
    message: Message = reader_for(message_type, version)(value, 0)[0]
    return message, version


def voter_ids(batch: Buffer) -> tuple[NodeId, ...] | None:
    """Return the quorum's members as the last record of a control batch that names them has it; None when none does.

    Raises: ProtocolViolation, BrokerError when a record is malformed.
    """
    voters = None
    for record in iter_records(batch):
        kind = None if record.key is None else control_type(record.key)
        if record.value is not None and kind in (ControlType.LEADER_CHANGE, ControlType.KRAFT_VOTERS):
            message, _ = decode_control(kind, record.value)
            assert isinstance(message, LeaderChangeMessage | VotersRecord)
            voters = tuple(voter.voter_id for voter in message.voters)
    return voters

"""Metadata records to the bytes of a record's value, and back.

Frame: uvarint frame version (1) | uvarint record type | uvarint record version | the record in that version.
Written are the versions of metadata.version 4.3-IV0; every version is read.
Source: Kafka server/common/serialization/AbstractApiMessageSerde.java, metadata/MetadataRecordSerde.java.
"""

from __future__ import annotations

from typing import Final

from protocol.codec import decode, encode_bytes
from protocol.errors import ProtocolViolation
from protocol.messages import records_metadata as records
from protocol.messages.message import Message
from protocol.primitives import encode_uvarint, read_uvarint
from protocol.types import Buffer
from replication.metadata_image import UnusableMetadata

FRAME_VERSION: Final = 1

# Highest version that the feature level allows, where that is not 0.
_WRITTEN_VERSIONS: Final = {
    records.RegisterBrokerRecord: 4,
    records.BrokerRegistrationChangeRecord: 3,
    records.PartitionRecord: 2,
    records.PartitionChangeRecord: 2,
}

_TYPES: Final[dict[int, type[Message]]] = {
    value.API_KEY: value
    for value in vars(records).values()
    if isinstance(value, type) and issubclass(value, Message) and value is not Message
}


def encode_record(record: Message) -> bytes:
    """Return the value of the log record that holds `record`."""
    version = _WRITTEN_VERSIONS.get(type(record), 0)
    return b"".join(
        (
            encode_uvarint(FRAME_VERSION),
            encode_uvarint(record.API_KEY),
            encode_uvarint(version),
            encode_bytes(record, version),
        )
    )


def decode_record(value: Buffer) -> Message:
    """Return the record that `value` holds.

    Raises: UnusableMetadata when it is malformed or of a kind or version not known here.
    """
    return decode_versioned(value)[0]


def decode_versioned(value: Buffer) -> tuple[Message, int]:
    """Return the record that `value` holds, and the version that it was written in.

    Raises: UnusableMetadata when it is malformed or of a kind or version not known here.
    """
    try:
        frame_version, position = read_uvarint(value, 0)
        if frame_version != FRAME_VERSION:
            raise UnusableMetadata(f"a metadata record has frame version {frame_version}")
        kind, position = read_uvarint(value, position)
        version, position = read_uvarint(value, position)
        record_type = _TYPES.get(kind)
        if record_type is None:
            raise UnusableMetadata(f"a metadata record is of type {kind}, which is not known")
        return decode(record_type, version, value, position), version
    except ProtocolViolation as violation:
        raise UnusableMetadata(f"a metadata record is malformed: {violation}") from violation

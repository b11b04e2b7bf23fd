"""Coordinator records to the key and value of a log record, and back.

Key: int16 record type | the key struct. Value: int16 version | the value struct in that version; null removes the key.
Every version is read. Written are the versions that Kafka 4.3 writes. Records of a type that is not known here belong
to a newer or another coordinator, and are left alone.
Source: Kafka coordinator-common, CoordinatorRecordSerde.java; group-coordinator, GroupCoordinatorRecordHelpers.java.
"""

from __future__ import annotations

from struct import Struct
from types import ModuleType
from typing import TYPE_CHECKING

from coordinator.shard import CoordinatorRecord
from protocol.codec import decode, encode_bytes
from protocol.errors import ProtocolViolation
from protocol.messages import records_group, records_transaction
from protocol.messages.message import Message

if TYPE_CHECKING:
    from protocol.types import Buffer

_INT16 = Struct(">h")

#: What Kafka 4.3 writes where that is not 0.
_WRITTEN_VERSIONS: dict[type[Message], int] = {
    records_group.OffsetCommitValue: 4,
    records_group.GroupMetadataValue: 3,
}
_VERSION_OF_OFFSETS_THAT_EXPIRE = 1
"""The only one with a field for it."""
_VERSION_OF_TRANSACTIONS_IN_FULL = 1
"""Written from the feature transaction.version 1 on; who proposes the record leaves the new fields alone below that."""


class UnreadableRecord(Exception):
    """A record of a known type that is malformed, or in a version not known here."""


def encode_key(key: Message) -> bytes:
    return _INT16.pack(key.API_KEY) + encode_bytes(key, 0)


def encode_value(value: Message) -> bytes:
    version = _WRITTEN_VERSIONS.get(type(value), 0)
    if isinstance(value, records_group.OffsetCommitValue) and value.expire_timestamp != -1:
        version = _VERSION_OF_OFFSETS_THAT_EXPIRE
    elif isinstance(value, records_transaction.TransactionLogValue) and value.previous_producer_id != -1:
        version = _VERSION_OF_TRANSACTIONS_IN_FULL
    return _INT16.pack(version) + encode_bytes(value, version)


class RecordTypes:
    """The records of one internal topic, by type."""

    __slots__ = ("_types",)

    def __init__(self, module: ModuleType) -> None:
        """`module` holds the generated classes: those that end in Key have a twin that ends in Value."""
        members = vars(module)
        self._types: dict[int, tuple[type[Message], type[Message]]] = {
            key.API_KEY: (key, members[f"{name.removesuffix('Key')}Value"])
            for name, key in members.items()
            if name.endswith("Key") and isinstance(key, type) and issubclass(key, Message)
        }

    def decode(self, key: Buffer | None, value: Buffer | None) -> CoordinatorRecord | None:
        """Return the record, None when it is of a type that is not known. Raises: UnreadableRecord."""
        if key is None or len(key) < _INT16.size:
            raise UnreadableRecord("a record without a type")
        (record_type,) = _INT16.unpack_from(key)
        types = self._types.get(record_type)
        if types is None:
            return None
        key_type, value_type = types
        try:
            decoded_key = decode(key_type, 0, key, _INT16.size)
            return CoordinatorRecord(decoded_key, None if value is None else _decode_value(value_type, value))
        except ProtocolViolation as violation:
            raise UnreadableRecord(f"{key_type.NAME}: {violation}") from violation


def _decode_value(value_type: type[Message], value: Buffer) -> Message:
    if len(value) < _INT16.size:
        raise ProtocolViolation("a value without a version")
    (version,) = _INT16.unpack_from(value)
    return decode(value_type, version, value, _INT16.size)


GROUP_RECORDS = RecordTypes(records_group)
"""Of `__consumer_offsets`."""

TRANSACTION_RECORDS = RecordTypes(records_transaction)
"""Of `__transaction_state`."""

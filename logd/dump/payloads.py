"""What the records of Kafka's own logs say: metadata, offsets and groups, transactions, share groups, markers.

A decoded record is a dictionary `type`, `version`, and `data`, the fields under the names of Kafka's schemas; keyed
ones also have `key`. Bytes within go out as base64, ids in their text form. A record that cannot be decoded has
`undecoded`, the reason, instead: a log of a newer Kafka still dumps.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any

from coordinator.internal_records import (
    GROUP_RECORDS,
    TRANSACTION_RECORDS,
    RecordTypes,
    UnreadableRecord,
)
from protocol.control_messages import decode_control
from protocol.control_records import control_type
from protocol.errors import ProtocolViolation
from protocol.messages.message import Message
from protocol.schema.descriptors import Field
from protocol.types import uuid_to_str
from replication.metadata_image import UnusableMetadata
from replication.metadata_records import decode_versioned

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.records import Record

Decoded = dict[str, Any]


def decoder_for(topic: str | None) -> Callable[[Record], Decoded] | None:
    """Return what decodes the data records of a topic; None where keys and values are the users' own."""
    if topic == "__cluster_metadata":
        return decode_metadata
    types = _record_types(topic or "")
    return None if types is None else lambda record: decode_keyed(types, record)


def decode_metadata(record: Record) -> Decoded:
    """A record of `__cluster_metadata` or of a snapshot of it."""
    try:
        message, version = decode_versioned(record.value or b"")
    except UnusableMetadata as error:
        return {"undecoded": str(error)}
    return {"type": message.NAME, "version": version, "data": fields_of(message, version)}


def decode_keyed(types: RecordTypes, record: Record) -> Decoded:
    """A record of a coordinator: `coordinator.internal_records`."""
    try:
        found = types.decode(record.key, record.value)
    except UnreadableRecord as error:
        return {"undecoded": str(error)}
    if found is None:
        return {"undecoded": f"records of type {_int16(record.key or b'', 0)} are not known"}
    decoded: Decoded = {"type": found.key.NAME.removesuffix("Key"), "key": fields_of(found.key, 0)}
    if record.value is None or found.value is None:
        return decoded | {"data": None}
    version = _int16(record.value, 0)
    return decoded | {"version": version, "data": fields_of(found.value, version)}


def decode_control_record(record: Record) -> Decoded:
    """A record of a control batch."""
    if record.key is None or len(record.key) < 4:
        return {"undecoded": "the key of a control record is too short"}
    kind = control_type(record.key)
    if kind is None:
        return {"undecoded": f"control records of type {_int16(record.key, 2)} are not known"}
    value = record.value or b""
    try:
        message, version = decode_control(kind, value)
    except ProtocolViolation as violation:
        return {"undecoded": f"{kind.name}: {violation}"}
    return {"type": kind.name, "version": _int16(value, 0), "data": fields_of(message, version)}


def fields_of(message: Message, version: int) -> dict[str, Any]:
    """The fields that a message has in `version`, under their names in Kafka's schemas, as JSON can say them."""
    fields: dict[str, Any] = {}
    for row in message.FIELDS:
        field = Field(*row)
        if field.exists_in(version):
            fields[_camel_case(field.name)] = _plain(getattr(message, field.name), field.element, version)
    return fields


def _plain(value: Any, element: str, version: int) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(each, element, version) for each in value]
    if isinstance(value, Message):
        return fields_of(value, version)
    if element == "uuid" and isinstance(value, bytes):
        return uuid_to_str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode("ascii")
    return value


@cache
def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _record_types(topic: str) -> RecordTypes | None:
    match topic:
        case "__consumer_offsets":
            return GROUP_RECORDS
        case "__transaction_state":
            return TRANSACTION_RECORDS
        case "__share_group_state":
            from protocol.messages import records_share  # noqa: PLC0415 - no coordinator of ours needs them

            return RecordTypes(records_share)
        case _:
            return None


def _int16(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "big", signed=True)

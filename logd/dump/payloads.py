"""What the records of Kafka's own logs say: metadata, offsets and groups, transactions, share groups, markers.

A decoded record is a dictionary `type`, `version`, and `data`, the fields under the names of Kafka's schemas; keyed
ones also have `key`. Bytes within go out as base64, ids in their text form. A record that cannot be decoded has
`undecoded`, the reason, instead: a log of a newer Kafka still dumps.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from protocol.codec import decode, reader_for
from protocol.control_records import ControlType, control_type
from protocol.errors import ProtocolViolation
from protocol.messages import records_control
from protocol.messages.message import Message
from protocol.schema.descriptors import Field
from protocol.types import uuid_to_str
from replication.metadata_image import UnusableMetadata
from replication.metadata_records import decode_versioned

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.records import Record

Decoded = dict[str, Any]

_KEYED_MODULES: Final = {
    "__consumer_offsets": "records_group",
    "__transaction_state": "records_transaction",
    "__share_group_state": "records_share",
}
_CONTROL_MESSAGES: Final[dict[ControlType, type[Message]]] = {
    ControlType.ABORT: records_control.EndTxnMarker,
    ControlType.COMMIT: records_control.EndTxnMarker,
    ControlType.LEADER_CHANGE: records_control.LeaderChangeMessage,
    ControlType.SNAPSHOT_HEADER: records_control.SnapshotHeaderRecord,
    ControlType.SNAPSHOT_FOOTER: records_control.SnapshotFooterRecord,
    ControlType.KRAFT_VERSION: records_control.KRaftVersionRecord,
    ControlType.KRAFT_VOTERS: records_control.VotersRecord,
}


def decoder_for(topic: str | None) -> Callable[[Record], Decoded] | None:
    """Return what decodes the data records of a topic; None where keys and values are the users' own."""
    if topic == "__cluster_metadata":
        return decode_metadata
    module = _KEYED_MODULES.get(topic or "")
    if module is None:
        return None
    return lambda record: decode_keyed(module, record)


def decode_metadata(record: Record) -> Decoded:
    """A record of `__cluster_metadata` or of a snapshot of it."""
    try:
        message, version = decode_versioned(record.value or b"")
    except UnusableMetadata as error:
        return {"undecoded": str(error)}
    return {"type": message.NAME, "version": version, "data": fields_of(message, version)}


def decode_keyed(module: str, record: Record) -> Decoded:
    """A record whose key begins with its type and whose value begins with its version, both int16."""
    key = record.key
    if key is None or len(key) < 2:
        return {"undecoded": "the key is too short to say what the record is"}
    kind = int.from_bytes(key[:2], "big", signed=True)
    types = _keyed_types(module).get(kind)
    if types is None:
        return {"undecoded": f"records of type {kind} are not known"}
    key_type, value_type = types
    try:
        key_fields = fields_of(decode(key_type, 0, key, 2), 0)  # what looks like its version is the type
        decoded: Decoded = {"type": value_type.NAME.removesuffix("Value"), "key": key_fields}
        if record.value is None:
            return decoded | {"data": None}
        version = int.from_bytes(record.value[:2], "big", signed=True)
        value = decode(value_type, version, record.value, 2)
    except ProtocolViolation as violation:
        return {"undecoded": str(violation)}
    return decoded | {"version": version, "data": fields_of(value, version)}


def decode_control(record: Record) -> Decoded:
    """A record of a control batch: its value begins with the version, which is a field of it, too."""
    if record.key is None or len(record.key) < 4:
        return {"undecoded": "the key of a control record is too short"}
    kind = control_type(record.key)
    if kind is None:
        number = int.from_bytes(record.key[2:4], "big", signed=True)
        return {"undecoded": f"control records of type {number} are not known"}
    message_type = _CONTROL_MESSAGES[kind]
    value = record.value or b""
    version = int.from_bytes(value[:2], "big", signed=True)
    known = max(message_type.VERSIONS[0], min(version, message_type.VERSIONS[1]))
    try:
        message, _ = reader_for(message_type, known)(value, 0)
    except ProtocolViolation as violation:
        return {"undecoded": f"{kind.name}: {violation}"}
    return {"type": kind.name, "version": version, "data": fields_of(message, known)}


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


@cache
def _keyed_types(module: str) -> dict[int, tuple[type[Message], type[Message]]]:
    """Key and value class by type of record."""
    from importlib import import_module  # noqa: PLC0415 - one of three, by the topic

    loaded = import_module(f"protocol.messages.{module}")
    classes = [
        each
        for each in vars(loaded).values()
        if isinstance(each, type) and issubclass(each, Message) and each.API_KEY >= 0
    ]
    values = {each.NAME.removesuffix("Value"): each for each in classes if each.NAME.endswith("Value")}
    keys = [each for each in classes if each.NAME.endswith("Key")]
    return {key.API_KEY: (key, values[key.NAME.removesuffix("Key")]) for key in keys}

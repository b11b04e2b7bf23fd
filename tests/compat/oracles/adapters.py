"""Codecs that we did not write, behind one small interface, to compare ours with.

A message travels between two implementations as *plain* data: a struct is the tuple of its fields in the order of
the schema (those that the version has), an array is a list, a scalar is int, bool, str, bytes or None. A tagged
struct that is not set and one that has all defaults are the same on the wire, and the same here.
"""

from __future__ import annotations

import datetime
import io
import types
import typing
import uuid
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from functools import cache
from typing import Any, Protocol

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
import kio.index
from kafka.protocol.api_message import ApiMessage
from kio.schema.errors import ErrorCode as KioErrorCode
from kio.serial import entity_reader, entity_writer

from protocol.messages.message import Message
from protocol.schema.descriptors import Field
from protocol.types import ZERO_UUID

EPOCH = datetime.datetime.fromtimestamp(0, tz=datetime.UTC)
MILLISECOND = datetime.timedelta(milliseconds=1)


class Oracle(Protocol):
    name: str

    def knows(self, cls: Any, version: int) -> bool: ...

    def encode(self, cls: Any, version: int, plain: Any) -> bytes: ...

    def decode(self, cls: Any, version: int, body: bytes) -> Any: ...


def to_plain(message: Message, version: int) -> tuple[Any, ...]:
    """Return our message as plain data."""
    return _struct_to_plain(type(message), message, version)


def fields_of(struct: Any, version: int) -> list[Field]:
    fields = [Field(*row) for row in struct.FIELDS]
    return [field for field in fields if field.exists_in(version)]


def _struct_to_plain(cls: Any, struct: Any, version: int) -> tuple[Any, ...]:
    return tuple(
        _value_to_plain(cls, field, getattr(struct, field.name), version)
        for field in fields_of(struct, version)
    )


def _value_to_plain(cls: Any, field: Field, value: Any, version: int) -> Any:
    if value is None:
        if field.is_struct and not field.is_array and not field.nullable_in(version):
            return _struct_to_plain(cls, getattr(cls, field.type)(), version)
        return None
    if field.is_array:
        return [_struct_to_plain(cls, item, version) if field.is_struct else item for item in value]
    return _struct_to_plain(cls, value, version) if field.is_struct else value


class Kio:
    """kio: classes generated per version from Kafka's own schemas, with a native reader."""

    name = "kio"

    def knows(self, cls: Any, version: int) -> bool:
        try:
            _kio_type(cls, version)
        except kio.index.KioIndexError:
            return False
        return True

    def encode(self, cls: Any, version: int, plain: Any) -> bytes:
        schema = _kio_type(cls, version)
        out = io.BytesIO()
        entity_writer(schema)(out, _to_kio(schema, plain))
        return out.getvalue()

    def decode(self, cls: Any, version: int, body: bytes) -> Any:
        value, size = entity_reader(_kio_type(cls, version))(body, 0)
        assert size == len(body)
        return _from_kio(value)


@cache
def _kio_type(cls: Any, version: int) -> Any:
    load = kio.index.load_request_schema if cls.NAME.endswith("Request") else kio.index.load_response_schema
    return load(cls.API_KEY, version)


@cache
def _kio_fields(schema: Any) -> list[tuple[str, Any, str]]:
    hints = typing.get_type_hints(schema)
    return [
        (field.name, hints[field.name], field.metadata.get("kafka_type", ""))
        for field in dataclass_fields(schema)
    ]


def _to_kio(schema: Any, plain: Any) -> Any:
    parts = zip(_kio_fields(schema), plain, strict=True)
    return schema(**{name: _value_to_kio(hint, kind, value) for (name, hint, kind), value in parts})


def _value_to_kio(hint: Any, kind: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(hint, types.UnionType):
        hint = next(option for option in typing.get_args(hint) if option is not type(None))
    if isinstance(value, list):
        element = typing.get_args(hint)[0]
        return tuple(_value_to_kio(element, kind, item) for item in value)
    if isinstance(value, tuple):
        return _to_kio(hint, value)
    convert = _SCALARS_TO_KIO.get(kind)
    return convert(value) if convert else value


_SCALARS_TO_KIO: dict[str, Callable[[Any], Any]] = {
    "uuid": lambda value: None if value == ZERO_UUID else uuid.UUID(bytes=value),
    "timedelta_i32": lambda value: value * MILLISECOND,
    "timedelta_i64": lambda value: value * MILLISECOND,
    "datetime_i64": lambda value: None if value == -1 else EPOCH + value * MILLISECOND,
    "error_code": KioErrorCode,
}


def _from_kio(entity: Any) -> Any:
    return tuple(
        _value_from_kio(hint, kind, getattr(entity, name))
        for name, hint, kind in _kio_fields(entity.__class__)
    )


def _value_from_kio(hint: Any, kind: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value_from_kio(None, kind, item) for item in value]
    if value is None:
        is_null = "tuple" in str(hint) or kind not in _NONE_FROM_KIO
        return None if is_null else _NONE_FROM_KIO[kind]
    convert = _SCALARS_FROM_KIO.get(type(value))
    if convert:
        return convert(value)
    return _from_kio(value) if hasattr(value, "__type__") else value


_NONE_FROM_KIO = {"uuid": ZERO_UUID, "datetime_i64": -1}
_SCALARS_FROM_KIO: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: lambda value: value.bytes,
    datetime.datetime: lambda value: (value - EPOCH) // MILLISECOND,
    datetime.timedelta: lambda value: value // MILLISECOND,
    KioErrorCode: lambda value: value.value,
}


class KafkaPython:
    """kafka-python: its own code generator over the schemas it ships."""

    name = "kafka-python"

    def knows(self, cls: Any, version: int) -> bool:
        found = _kafka_python_type(cls)
        return found is not None and found.valid_versions[0] <= version <= found.valid_versions[1]

    def encode(self, cls: Any, version: int, plain: Any) -> bytes:
        data = _to_kafka_python(_kafka_python_type(cls), plain, version)
        return bytes(data.encode(version=version, header=False))

    def decode(self, cls: Any, version: int, body: bytes) -> Any:
        found = _kafka_python_type(cls)
        # The base class's: the one of ApiVersionsResponse takes every error for an answer in version 0.
        data = ApiMessage.decode.__func__(found, body, version=version, header=False)
        return _from_kafka_python(found, data, version)


@cache
def _kafka_python_type(cls: Any) -> Any:
    packages = (
        kafka.protocol.admin,
        kafka.protocol.consumer,
        kafka.protocol.metadata,
        kafka.protocol.producer,
    )
    return next((getattr(package, cls.NAME) for package in packages if hasattr(package, cls.NAME)), None)


def _kafka_python_fields(struct: Any, version: int) -> list[Any]:
    return [field for field in struct._struct.fields.values() if field.for_version_q(version)]


def _to_kafka_python(struct: Any, plain: Any, version: int) -> Any:
    values = {}
    for field, value in zip(_kafka_python_fields(struct, version), plain, strict=True):
        converted = _value_to_kafka_python(field, value, version)
        # It writes a tagged field that was given, its default included.
        if not field.tagged_field_q(version) or converted != _kafka_python_default(field, version):
            values[field.name] = converted
    return struct(version=version, **values)


def _kafka_python_default(field: Any, version: int) -> Any:
    if field.type_str == "uuid":
        return uuid.UUID(bytes=ZERO_UUID)
    if not field.is_struct():
        return field.default
    data_class = field.data_class
    return data_class(
        version=version, **{item.name: item.default for item in _kafka_python_fields(data_class, version)}
    )


def _value_to_kafka_python(field: Any, value: Any, version: int) -> Any:
    if isinstance(value, tuple):
        return _to_kafka_python(field.data_class, value, version)
    if isinstance(value, list):
        if field.is_struct_array():
            return [_to_kafka_python(field.data_class, item, version) for item in value]
        return [_scalar_to_kafka_python(field.type_str, item) for item in value]
    return _scalar_to_kafka_python(field.type_str, value)


def _scalar_to_kafka_python(kind: str, value: Any) -> Any:
    if kind.endswith("uuid"):
        return uuid.UUID(bytes=value)
    if kind == "bitfield":
        return {bit for bit in range(32) if value >> bit & 1}
    return value


def _from_kafka_python(struct: Any, data: Any, version: int) -> Any:
    return tuple(
        _value_from_kafka_python(field, getattr(data, field.name), version)
        for field in _kafka_python_fields(struct, version)
    )


def _value_from_kafka_python(field: Any, value: Any, version: int) -> Any:
    if value is None and field.is_struct() and field.tagged_field_q(version):
        value = _kafka_python_default(field, version)
    if field.type_str == "bitfield":
        bits = {31} if value is None else value
        return sum(1 << bit for bit in bits) - ((1 << 32) if 31 in bits else 0)
    if field.type_str == "uuid":
        return ZERO_UUID if value is None else value.bytes
    if value is None:
        return None
    if field.is_struct_array():
        return [_from_kafka_python(field.data_class, item, version) for item in value]
    if field.is_struct():
        return _from_kafka_python(field.data_class, value, version)
    return value if isinstance(value, list) else _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


ORACLES: tuple[Oracle, ...] = (Kio(), KafkaPython())

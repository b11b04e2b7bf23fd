"""Primitive types of the wire: one `read_x` and one `write_x` for each.

`read_x(buf, pos)` returns the value and the position after it; `write_x(out, value)` appends to a bytearray.
Everything is big-endian. These serve what is read once in a while and what is not a message (records, log file
headers, keyed records); message bodies go through `protocol.codec`, whose generated code inlines the same rules.

Forms: a *compact* length is an unsigned varint of length + 1, 0 meaning null. A plain length is int16 (strings) or
int32 (bytes, arrays), -1 meaning null. An unsigned varint carries 7 bits per byte, lowest first; the signed ones
are zig-zag coded. A varint has at most 5 bytes, a varlong at most 10.

Invariant: bytes raise nothing but ProtocolViolation, and no length is believed before it is checked against the
bytes that are there.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError
from typing import Final, TypeVar

from protocol.errors import ProtocolViolation
from protocol.types import UUID_SIZE, Buffer

STRING_BYTES_MAX: Final = 0x7FFF
"""Longest string in UTF-8 bytes, in the compact form too (Kafka's message generator holds both to int16)."""

_T = TypeVar("_T")

_INT8 = Struct(">b")
_INT16 = Struct(">h")
_INT32 = Struct(">i")
_INT64 = Struct(">q")
_UINT16 = Struct(">H")
_UINT32 = Struct(">I")
_FLOAT64 = Struct(">d")

SHORT_UVARINTS: Final = tuple(bytes((value,)) for value in range(128))
"""The unsigned varints of one byte, by value."""


def _read_fixed(form: Struct, buf: Buffer, pos: int) -> tuple[int, int]:
    try:
        return form.unpack_from(buf, pos)[0], pos + form.size
    except StructError:
        raise ProtocolViolation(f"truncated: {form.size} bytes wanted at {pos} of {len(buf)}") from None


def _write_fixed(form: Struct, out: bytearray, value: float) -> None:
    try:
        out += form.pack(value)
    except StructError as error:
        raise ProtocolViolation(f"{value!r} does not fit: {error}") from None


def read_bool(buf: Buffer, pos: int) -> tuple[bool, int]:
    """Any byte but zero is true."""
    value, pos = _read_fixed(_INT8, buf, pos)
    return value != 0, pos


def write_bool(out: bytearray, value: bool) -> None:
    out.append(1 if value else 0)


def read_int8(buf: Buffer, pos: int) -> tuple[int, int]:
    return _read_fixed(_INT8, buf, pos)


def write_int8(out: bytearray, value: int) -> None:
    _write_fixed(_INT8, out, value)


def read_int16(buf: Buffer, pos: int) -> tuple[int, int]:
    return _read_fixed(_INT16, buf, pos)


def write_int16(out: bytearray, value: int) -> None:
    _write_fixed(_INT16, out, value)


def read_int32(buf: Buffer, pos: int) -> tuple[int, int]:
    return _read_fixed(_INT32, buf, pos)


def write_int32(out: bytearray, value: int) -> None:
    _write_fixed(_INT32, out, value)


def read_int64(buf: Buffer, pos: int) -> tuple[int, int]:
    return _read_fixed(_INT64, buf, pos)


def write_int64(out: bytearray, value: int) -> None:
    _write_fixed(_INT64, out, value)


def read_uint16(buf: Buffer, pos: int) -> tuple[int, int]:
    return _read_fixed(_UINT16, buf, pos)


def write_uint16(out: bytearray, value: int) -> None:
    _write_fixed(_UINT16, out, value)


def read_uint32(buf: Buffer, pos: int) -> tuple[int, int]:
    return _read_fixed(_UINT32, buf, pos)


def write_uint32(out: bytearray, value: int) -> None:
    _write_fixed(_UINT32, out, value)


def read_float64(buf: Buffer, pos: int) -> tuple[float, int]:
    return _read_fixed(_FLOAT64, buf, pos)


def write_float64(out: bytearray, value: float) -> None:
    _write_fixed(_FLOAT64, out, value)


def read_uuid(buf: Buffer, pos: int) -> tuple[bytes, int]:
    return bytes(_take(buf, pos, UUID_SIZE)), pos + UUID_SIZE


def write_uuid(out: bytearray, value: bytes) -> None:
    if len(value) != UUID_SIZE:
        raise ProtocolViolation(f"an id has {UUID_SIZE} bytes, not {len(value)}")
    out += value


def _read_base128(buf: Buffer, pos: int, size_max: int) -> tuple[int, int]:
    """Read a little-endian base-128 number of at most `size_max` bytes, without a bound on its value."""
    value = shift = 0
    start = pos
    try:
        while True:
            byte = buf[pos]
            pos += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, pos
            shift += 7
            if pos - start >= size_max:
                raise ProtocolViolation(f"a varint of more than {size_max} bytes at {start}")
    except IndexError:
        raise ProtocolViolation(f"truncated varint at {start}") from None


def read_uvarint(buf: Buffer, pos: int) -> tuple[int, int]:
    """Read an unsigned varint of at most 31 significant bits, which is all that lengths and tags may use."""
    try:
        first = buf[pos]
        if first < 0x80:
            return first, pos + 1
        second = buf[pos + 1]
        if second < 0x80:
            return first & 0x7F | second << 7, pos + 2
        third = buf[pos + 2]
        if third < 0x80:
            return first & 0x7F | (second & 0x7F) << 7 | third << 14, pos + 3
    except IndexError:
        raise ProtocolViolation(f"truncated varint at {pos}") from None
    value, end = _read_base128(buf, pos, 5)
    if value > 0x7FFFFFFF:
        raise ProtocolViolation(f"an unsigned varint above 2^31 - 1 at {pos}")
    return value, end


def encode_uvarint(value: int) -> bytes:
    """Return the bytes of an unsigned varint below 2^31."""
    if 0 <= value < 128:
        return SHORT_UVARINTS[value]
    if value < 0x4000:
        if value < 0:
            raise ProtocolViolation(f"{value} does not fit an unsigned varint")
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x200000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    if value > 0x7FFFFFFF:
        raise ProtocolViolation(f"{value} does not fit an unsigned varint")
    return _encode_base128(value)


def _encode_base128(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def write_uvarint(out: bytearray, value: int) -> None:
    out += encode_uvarint(value)


def read_varint(buf: Buffer, pos: int) -> tuple[int, int]:
    """Read a zig-zag coded int32."""
    value, end = _read_base128(buf, pos, 5)
    if value > 0xFFFFFFFF:
        raise ProtocolViolation(f"a varint of more than 32 bits at {pos}")
    return (value >> 1) ^ -(value & 1), end


def write_varint(out: bytearray, value: int) -> None:
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise ProtocolViolation(f"{value} does not fit an int32")
    out += _encode_base128((value << 1) ^ (value >> 31))


def read_varlong(buf: Buffer, pos: int) -> tuple[int, int]:
    """Read a zig-zag coded int64."""
    value, end = _read_base128(buf, pos, 10)
    if value > 0xFFFFFFFFFFFFFFFF:
        raise ProtocolViolation(f"a varlong of more than 64 bits at {pos}")
    return (value >> 1) ^ -(value & 1), end


def write_varlong(out: bytearray, value: int) -> None:
    if not -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        raise ProtocolViolation(f"{value} does not fit an int64")
    out += _encode_base128((value << 1) ^ (value >> 63))


def read_string(buf: Buffer, pos: int) -> tuple[str, int]:
    return _not_null(read_nullable_string(buf, pos))


def write_string(out: bytearray, value: str) -> None:
    write_nullable_string(out, value)


def read_nullable_string(buf: Buffer, pos: int) -> tuple[str | None, int]:
    length, pos = read_int16(buf, pos)
    return _read_text(buf, pos, length)


def write_nullable_string(out: bytearray, value: str | None) -> None:
    if value is None:
        out += b"\xff\xff"
        return
    text = _encode_text(value)
    out += _INT16.pack(len(text))
    out += text


def read_compact_string(buf: Buffer, pos: int) -> tuple[str, int]:
    return _not_null(read_compact_nullable_string(buf, pos))


def write_compact_string(out: bytearray, value: str) -> None:
    write_compact_nullable_string(out, value)


def read_compact_nullable_string(buf: Buffer, pos: int) -> tuple[str | None, int]:
    length, pos = read_uvarint(buf, pos)
    if length > STRING_BYTES_MAX + 1:
        raise ProtocolViolation(f"a string of {length - 1} bytes")
    return _read_text(buf, pos, length - 1)


def write_compact_nullable_string(out: bytearray, value: str | None) -> None:
    if value is None:
        out.append(0)
        return
    text = _encode_text(value)
    out += encode_uvarint(len(text) + 1)
    out += text


def read_bytes(buf: Buffer, pos: int) -> tuple[bytes, int]:
    return _not_null(read_nullable_bytes(buf, pos))


def write_bytes(out: bytearray, value: Buffer) -> None:
    write_nullable_bytes(out, value)


def read_nullable_bytes(buf: Buffer, pos: int) -> tuple[bytes | None, int]:
    length, pos = read_int32(buf, pos)
    return _read_blob(buf, pos, length)


def write_nullable_bytes(out: bytearray, value: Buffer | None) -> None:
    if value is None:
        out += b"\xff\xff\xff\xff"
        return
    out += _INT32.pack(len(value))
    out += value


def read_compact_bytes(buf: Buffer, pos: int) -> tuple[bytes, int]:
    return _not_null(read_compact_nullable_bytes(buf, pos))


def write_compact_bytes(out: bytearray, value: Buffer) -> None:
    write_compact_nullable_bytes(out, value)


def read_compact_nullable_bytes(buf: Buffer, pos: int) -> tuple[bytes | None, int]:
    length, pos = read_uvarint(buf, pos)
    return _read_blob(buf, pos, length - 1)


def write_compact_nullable_bytes(out: bytearray, value: Buffer | None) -> None:
    if value is None:
        out.append(0)
        return
    out += encode_uvarint(len(value) + 1)
    out += value


def skip_tagged_fields(buf: Buffer, pos: int) -> int:
    """Pass over a tag buffer, checking its form; return the position after it."""
    count, pos = read_uvarint(buf, pos)
    last = -1
    for _ in range(count):
        last, size, pos = read_tag(buf, pos, last)
        pos += size
    return pos


def read_tag(buf: Buffer, pos: int, last: int) -> tuple[int, int, int]:
    """Read the head of a tagged field: its tag, the size of its data, and where that data begins.

    `last` is the tag before it in the same tag buffer, -1 for the first one: tags ascend, each at most once.
    """
    tag, pos = read_uvarint(buf, pos)
    size, pos = read_uvarint(buf, pos)
    if tag <= last:
        raise ProtocolViolation(f"tag {tag} after tag {last}")
    if size > len(buf) - pos:
        raise ProtocolViolation(f"tag {tag} announces {size} bytes, {len(buf) - pos} are left")
    return tag, size, pos


def _not_null(read: tuple[_T | None, int]) -> tuple[_T, int]:
    value, pos = read
    if value is None:
        raise ProtocolViolation(f"null where a value is due, before {pos}")
    return value, pos


def _take(buf: Buffer, pos: int, size: int) -> Buffer:
    """Return the next `size` bytes as a slice of `buf`'s own type."""
    if not 0 <= size <= len(buf) - pos:
        raise ProtocolViolation(f"truncated: {size} bytes wanted at {pos} of {len(buf)}")
    return buf[pos : pos + size]


def _read_text(buf: Buffer, pos: int, length: int) -> tuple[str | None, int]:
    if length == -1:
        return None, pos
    try:
        return str(_take(buf, pos, length), "utf-8"), pos + length
    except UnicodeDecodeError:
        raise ProtocolViolation(f"a string at {pos} is not UTF-8") from None


def _read_blob(buf: Buffer, pos: int, length: int) -> tuple[bytes | None, int]:
    if length == -1:
        return None, pos
    return bytes(_take(buf, pos, length)), pos + length


def _encode_text(value: str) -> bytes:
    try:
        text = value.encode()
    except UnicodeEncodeError as error:
        raise ProtocolViolation(f"not encodable: {error}") from None
    if len(text) > STRING_BYTES_MAX:
        raise ProtocolViolation(f"a string of {len(text)} bytes")
    return text

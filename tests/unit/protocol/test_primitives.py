"""Primitive types: known bytes, ends of ranges, pairs that come back, and damage of every kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import primitives
from protocol.errors import ProtocolViolation
from protocol.primitives import encode_uvarint, read_tag, read_uvarint, skip_tagged_fields

INT31 = 0x7FFFFFFF

VECTORS: list[tuple[str, Any, str]] = [
    ("bool", True, "01"),
    ("bool", False, "00"),
    ("int8", -2, "fe"),
    ("int16", -2, "fffe"),
    ("int32", 1, "00000001"),
    ("int64", -(1 << 63), "8000000000000000"),
    ("uint16", 0xFFFE, "fffe"),
    ("uint32", 0xFFFFFFFE, "fffffffe"),
    ("float64", -1.5, "bff8000000000000"),
    ("uuid", bytes(range(16)), "000102030405060708090a0b0c0d0e0f"),
    ("uvarint", 0, "00"),
    ("uvarint", 127, "7f"),
    ("uvarint", 128, "8001"),
    ("uvarint", 300, "ac02"),
    ("uvarint", 16384, "808001"),
    ("uvarint", 1 << 21, "80808001"),
    ("uvarint", INT31, "ffffffff07"),
    ("varint", 0, "00"),
    ("varint", -1, "01"),
    ("varint", 1, "02"),
    ("varint", -64, "7f"),
    ("varint", 64, "8001"),
    ("varint", -(1 << 31), "ffffffff0f"),
    ("varint", INT31, "feffffff0f"),
    ("varlong", -(1 << 63), "ffffffffffffffffff01"),
    ("varlong", (1 << 63) - 1, "feffffffffffffffff01"),
    ("string", "é", "0002c3a9"),
    ("nullable_string", None, "ffff"),
    ("nullable_string", "", "0000"),
    ("compact_string", "abc", "04616263"),
    ("compact_nullable_string", None, "00"),
    ("compact_nullable_string", "", "01"),
    ("bytes", b"ab", "000000026162"),
    ("nullable_bytes", None, "ffffffff"),
    ("compact_bytes", b"", "01"),
    ("compact_nullable_bytes", None, "00"),
]


def reader(kind: str) -> Callable[[Any, int], tuple[Any, int]]:
    return getattr(primitives, f"read_{kind}")  # type: ignore[no-any-return]


def written(kind: str, value: Any) -> bytes:
    out = bytearray()
    getattr(primitives, f"write_{kind}")(out, value)
    return bytes(out)


@pytest.mark.parametrize(("kind", "value", "form"), VECTORS)
def test_known_bytes(kind: str, value: Any, form: str) -> None:
    data = bytes.fromhex(form)
    assert written(kind, value) == data
    for buf in (data, bytearray(data), memoryview(data)):
        assert reader(kind)(buf, 0) == (value, len(data))
    assert reader(kind)(b"??" + data + b"??", 2) == (value, 2 + len(data))


@pytest.mark.parametrize(("kind", "value", "form"), VECTORS)
def test_every_truncation_is_refused(kind: str, value: Any, form: str) -> None:
    data = bytes.fromhex(form)
    for size in range(len(data)):
        with pytest.raises(ProtocolViolation):
            reader(kind)(data[:size], 0)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("uvarint", "ffffffff08"),  # above 2^31 - 1
        ("uvarint", "808080808001"),  # a sixth byte
        ("varint", "ffffffff10"),
        ("varint", "808080808001"),
        ("varlong", "ffffffffffffffffff02"),
        ("varlong", "8080808080808080808001"),
        ("string", "ffff"),  # null
        ("string", "fffe"),  # length -2
        ("nullable_string", "fffe"),
        ("nullable_string", "8000"),
        ("string", "0002c328"),  # not UTF-8
        ("compact_string", "00"),
        ("compact_string", "03c328"),
        ("compact_string", "818002" + "61" * 32768),  # longer than an int16 can say
        ("bytes", "ffffffff"),
        ("bytes", "fffffffe"),
        ("nullable_bytes", "80000000"),
        ("compact_bytes", "00"),
        ("compact_bytes", "ffffffff07"),
        ("bytes", "7fffffff"),
    ],
)
def test_damage_is_refused(kind: str, form: str) -> None:
    with pytest.raises(ProtocolViolation):
        reader(kind)(bytes.fromhex(form), 0)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int8", 128),
        ("int16", -32769),
        ("int32", 1 << 31),
        ("int64", 1 << 63),
        ("uint16", -1),
        ("uint32", 1 << 32),
        ("uuid", bytes(15)),
        ("uvarint", -1),
        ("uvarint", 1 << 31),
        ("varint", 1 << 31),
        ("varint", -(1 << 31) - 1),
        ("varlong", 1 << 63),
        ("string", "x" * 32768),
        ("compact_string", "x" * 32768),
        ("string", "\ud800"),
    ],
)
def test_what_does_not_fit_is_not_written(kind: str, value: Any) -> None:
    with pytest.raises(ProtocolViolation):
        written(kind, value)


def test_any_byte_but_zero_is_true() -> None:
    assert primitives.read_bool(b"\x80", 0) == (True, 1)


def test_the_longest_string_is_read() -> None:
    text = "x" * 32767
    assert reader("compact_string")(written("compact_string", text), 0)[0] == text
    assert reader("string")(written("string", text), 0)[0] == text


@given(st.integers(0, INT31))
def test_unsigned_varints_come_back(value: int) -> None:
    data = encode_uvarint(value)
    assert read_uvarint(data, 0) == (value, len(data))
    assert len(data) == max(1, -(-value.bit_length() // 7))


@given(st.integers(-(1 << 31), INT31), st.integers(-(1 << 63), (1 << 63) - 1))
def test_signed_varints_come_back(value: int, long_value: int) -> None:
    assert reader("varint")(written("varint", value), 0)[0] == value
    assert reader("varlong")(written("varlong", long_value), 0)[0] == long_value


def test_tagged_fields_are_passed_over() -> None:
    data = bytes.fromhex("02 00 01 ff 07 00")
    assert skip_tagged_fields(data, 0) == 6
    assert skip_tagged_fields(b"\0", 0) == 1


@pytest.mark.parametrize(
    "form",
    [
        "01 00",  # no size
        "01 00 02 ff",  # a size beyond the end
        "02 01 00 01 00",  # the same tag twice
        "02 01 00 00 00",  # descending
        "ffffffff07",  # a count of nothing
    ],
)
def test_damaged_tagged_fields_are_refused(form: str) -> None:
    with pytest.raises(ProtocolViolation):
        skip_tagged_fields(bytes.fromhex(form), 0)


def test_the_head_of_a_tagged_field() -> None:
    assert read_tag(b"\x05\x02ab", 0, 4) == (5, 2, 2)
    with pytest.raises(ProtocolViolation):
        read_tag(b"\x05\x02ab", 0, 5)

"""Bytes of an enemy: reading raises ProtocolViolation or succeeds, and memory stays in proportion to the bytes.

Method: random bytes, valid messages with bits flipped, bytes cut out, and lengths replaced by giant ones, against
every message that a peer may send here (requests, and responses for our own client), in every version.
"""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.codec import decode, encode_bytes
from protocol.errors import ProtocolViolation
from protocol.messages.message import Message
from tests.support.messages import all_messages, messages, versions_of

GIANT = (
    b"\xff\xff\xff\xff\x07",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\x7f",
    b"\x7f\xff",
    b"\x80\x00\x00\x00",
    b"\xff" * 11,
)
PEAK_BYTES_PER_BYTE = 160
"""Allowed peak per byte received. The worst legal case is an array of structs of two empty fields each."""
PEAK_BYTES = 64 * 1024


def name(cls: type[Message]) -> str:
    return cls.NAME


def violates_or_reads(cls: type[Message], version: int, body: bytes) -> None:
    """Read `body`; anything but a message or a ProtocolViolation fails the test."""
    try:
        message = decode(cls, version, body)
    except ProtocolViolation:
        return
    # What was read can be written again: nothing impossible came out of it.
    encode_bytes(message, version)


def mutations(body: bytes, random_source: random.Random) -> list[bytes]:
    """Return damaged forms of a valid body."""
    damaged = []
    for _ in range(6):
        place = random_source.randrange(len(body) + 1)
        giant = random_source.choice(GIANT)
        damaged.append(body[:place] + giant + body[place:])
        damaged.append(body[:place] + giant + body[place + len(giant) :])
        damaged.append(body[:place])
        stop = random_source.randrange(place, len(body) + 1)
        damaged.append(body[:place] + body[stop:])
        if body:
            flipped = bytearray(body)
            for _ in range(random_source.randrange(1, 4)):
                flipped[random_source.randrange(len(body))] ^= 1 << random_source.randrange(8)
            damaged.append(bytes(flipped))
    return damaged


@pytest.mark.parametrize("cls", all_messages(), ids=name)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_damaged_messages_raise_nothing_else(cls: type[Message], data: st.DataObject) -> None:
    version = data.draw(st.sampled_from(versions_of(cls)))
    body = encode_bytes(data.draw(messages(cls, version)), version)
    seed = data.draw(st.integers(0, 2**32))
    for damaged in mutations(body, random.Random(seed)):
        violates_or_reads(cls, version, damaged)


@pytest.mark.parametrize("cls", all_messages(), ids=name)
def test_random_bytes_raise_nothing_else(cls: type[Message]) -> None:
    source = random.Random(cls.NAME)
    for version in versions_of(cls):
        for size in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 300):
            violates_or_reads(cls, version, source.randbytes(size))
            # Small numbers get further than random ones: they are short lengths and known tags.
            violates_or_reads(cls, version, bytes(source.randrange(4) for _ in range(size)))


@pytest.mark.parametrize("cls", all_messages(), ids=name)
def test_giant_counts_do_not_allocate(cls: type[Message]) -> None:
    """Every place of a default body becomes a giant length in turn; then bodies of nothing but small counts."""
    hostile: list[tuple[int, bytes]] = []
    for version in versions_of(cls):
        body = encode_bytes(cls(), version)
        hostile += [
            (version, body[:place] + giant + bytes(64)) for place in range(len(body) + 1) for giant in GIANT
        ]
        decode(cls, version, body)  # built before the measurement
    assert _peak(cls, hostile) < PEAK_BYTES
    for version in versions_of(cls):
        for fill in (b"\0", b"\1", b"\2", b"\x7f"):
            body = fill * 20_000
            assert _peak(cls, [(version, body)]) < PEAK_BYTES + PEAK_BYTES_PER_BYTE * len(body)


def _peak(cls: type[Message], bodies: list[tuple[int, bytes]]) -> int:
    """Return the most bytes allocated at any time while `bodies` are read one after the other."""
    tracemalloc.start()
    try:
        for version, body in bodies:
            _refused_or_dropped(cls, version, body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _refused_or_dropped(cls: type[Message], version: int, body: bytes) -> Any:
    try:
        decode(cls, version, body)
    except ProtocolViolation:
        return

"""Goal: a snapshot is byte for byte Kafka's, and a damaged one is never taken for the truth."""

import struct

import pytest

from storage import producer_snapshot
from storage.producer_snapshot import CorruptSnapshot, SnapshotEntry

ENTRIES = [
    SnapshotEntry(7, 2, 41, 1_000, 9, 1_700_000_000_000, -1, -1),
    SnapshotEntry(8, 0, -1, -1, 0, 1_700_000_000_001, 3, 1_234),
]


def crc32c_by_bits(data: bytes) -> int:
    """CRC-32C as its definition says, independent of the library."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_layout_is_kafkas() -> None:
    entries = b"".join(
        [
            struct.pack(">qhi", 7, 2, 41) + struct.pack(">qiqiq", 1_000, 9, 1_700_000_000_000, -1, -1),
            struct.pack(">qhi", 8, 0, -1) + struct.pack(">qiqiq", -1, 0, 1_700_000_000_001, 3, 1_234),
        ]
    )
    covered = struct.pack(">i", 2) + entries
    image = producer_snapshot.encode(ENTRIES)
    assert image == struct.pack(">hI", 1, crc32c_by_bits(covered)) + covered
    assert len(image) == 10 + 2 * 46


def test_what_was_written_is_read() -> None:
    assert producer_snapshot.decode(producer_snapshot.encode(ENTRIES)) == ENTRIES
    assert producer_snapshot.decode(producer_snapshot.encode([])) == []


def test_every_flipped_bit_and_every_torn_end_is_noticed() -> None:
    image = producer_snapshot.encode(ENTRIES)
    for length in range(len(image)):
        with pytest.raises(CorruptSnapshot):
            producer_snapshot.decode(image[:length])
    with pytest.raises(CorruptSnapshot):
        producer_snapshot.decode(image + b"\0")
    for bit in range(len(image) * 8):
        flipped = bytearray(image)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptSnapshot):
            producer_snapshot.decode(bytes(flipped))


def test_an_unknown_version_is_refused_although_its_checksum_fits() -> None:
    image = bytearray(producer_snapshot.encode(ENTRIES))
    image[1] = 2
    with pytest.raises(CorruptSnapshot, match="version 2"):
        producer_snapshot.decode(bytes(image))


def test_file_names() -> None:
    assert producer_snapshot.file_name(1_234) == "00000000000000001234.snapshot"
    assert producer_snapshot.end_offset_of("00000000000000001234.snapshot") == 1_234
    for other in (
        "1234.snapshot",
        "00000000000000001234.log",
        "00000000000000001234.snapshot.deleted",
        "0000000000000000-234.snapshot",
        "00000000000000001234-0123456789.checkpoint",
        "",
    ):
        assert producer_snapshot.end_offset_of(other) is None

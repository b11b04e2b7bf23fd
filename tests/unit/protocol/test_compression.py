"""Codecs: round trips, the containers Java insists on, and bounds that bombs cannot pass."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
import tracemalloc

import cramjam
import pytest

from protocol.compression import Codec, compress, decompress
from protocol.errors import BrokerError, ErrorCode

COMPRESSING = [codec for codec in Codec if codec is not Codec.NONE]
_WORDS = [f"{word}{number}" for word in ("order", "payment", "customer", "stock") for number in range(40)]
TEXT = b"the quick brown fox jumps over the lazy dog. " * 5_000


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("data", [b"", b"x", TEXT, bytes(3 << 20)], ids=["empty", "byte", "text", "zeros"])
def test_round_trip(codec: Codec, data: bytes) -> None:
    packed = compress(codec, data)
    assert decompress(codec, packed, len(data)) == data
    assert decompress(codec, memoryview(packed)) == data
    assert compress(codec, memoryview(bytearray(data))) == packed


@pytest.mark.parametrize(
    ("codec", "low", "high"), [(Codec.GZIP, 1, 9), (Codec.LZ4, 1, 17), (Codec.ZSTD, -5, 19)]
)
def test_levels(codec: Codec, low: int, high: int) -> None:
    """Kafka's ends of each scale are taken; the high one compresses better."""
    rng = random.Random(1)
    data = " ".join(rng.choice(_WORDS) for _ in range(20_000)).encode()
    small, large = compress(codec, data, high), compress(codec, data, low)
    assert len(small) < len(large)
    assert decompress(codec, small) == decompress(codec, large) == data


def test_gzip_default_level_is_minus_one_in_kafka() -> None:
    assert compress(Codec.GZIP, TEXT, -1) == compress(Codec.GZIP, TEXT)


def test_lz4_blocks_are_independent_and_without_content_checksum() -> None:
    """FLG byte of the frame: version 01, block independence set, content checksum clear."""
    flags = compress(Codec.LZ4, TEXT * 3)[4]
    assert flags >> 6 == 1
    assert flags & 0x20
    assert not flags & 0x04


def test_lz4_level_nine_is_the_fast_compressor() -> None:
    assert compress(Codec.LZ4, TEXT, 9) == compress(Codec.LZ4, TEXT)


def test_snappy_is_framed_as_java_writes_it() -> None:
    packed = compress(Codec.SNAPPY, TEXT)
    assert packed[:16] == b"\x82SNAPPY\x00" + b"\x00\x00\x00\x01" * 2
    size = int.from_bytes(packed[16:20], "big")
    assert bytes(cramjam.snappy.decompress_raw(packed[20 : 20 + size])) == TEXT[: 32 * 1024]


def test_snappy_without_framing_is_read() -> None:
    assert decompress(Codec.SNAPPY, bytes(cramjam.snappy.compress_raw(TEXT))) == TEXT


def test_snappy_streams_may_be_concatenated() -> None:
    assert (
        decompress(Codec.SNAPPY, compress(Codec.SNAPPY, TEXT) + compress(Codec.SNAPPY, b"end"))
        == TEXT + b"end"
    )


def test_gzip_of_several_members() -> None:
    assert decompress(Codec.GZIP, gzip.compress(TEXT) + gzip.compress(b"end")) == TEXT + b"end"


@pytest.mark.parametrize("codec", list(Codec))
def test_the_bound_is_inclusive(codec: Codec) -> None:
    packed = compress(codec, TEXT)
    assert decompress(codec, packed, len(TEXT)) == TEXT
    with pytest.raises(BrokerError) as caught:
        decompress(codec, packed, len(TEXT) - 1)
    assert caught.value.code is ErrorCode.INVALID_RECORD


@pytest.mark.parametrize("codec", COMPRESSING)
def test_a_bomb_takes_no_more_memory_than_the_bound(codec: Codec) -> None:
    bomb = compress(codec, bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BrokerError):
            decompress(codec, bomb, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", COMPRESSING)
def test_short_garbage_is_refused_without_a_large_buffer(codec: Codec) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BrokerError) as caught:
            decompress(codec, b"\xff" * 64)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.code is ErrorCode.INVALID_RECORD


def test_a_snappy_block_may_announce_no_more_than_it_can_hold() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BrokerError):
            decompress(Codec.SNAPPY, b"\xff\xff\xff\x3f" + bytes(20))  # announces 128 MiB - 1
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", COMPRESSING)
def test_every_cut_of_a_packed_text_is_refused(codec: Codec) -> None:
    packed = compress(codec, TEXT[:3_000])
    whole_snappy_header = 16
    for size in range(len(packed)):
        if codec is Codec.SNAPPY and size == whole_snappy_header:
            continue  # a framing header with no block is an empty stream
        with pytest.raises(BrokerError):
            decompress(codec, packed[:size])


def test_the_library_is_not_loaded_before_it_is_needed() -> None:
    """Start-up: importing the record modules must not load the codecs or parse package metadata."""
    script = (
        "import sys, protocol.record_validation, protocol.control_records;"
        "assert not {'cramjam', 'argparse', 'email', 'importlib.metadata'} & set(sys.modules), 'slow imports'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)

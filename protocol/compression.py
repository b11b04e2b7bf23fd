"""The four compression codecs of record batches, each in the container that every Kafka client reads.

gzip    a member (several in a row are read). zstd: a frame.
lz4     a frame of *independent* blocks without content checksum: the Java client refuses linked blocks.
snappy  written in xerial framing, as Java does: magic, two version words, then blocks of int32 length and raw
        snappy. Raw snappy without framing is read too: librdkafka sends it.

Decompression is bounded: a caller names the most it will take, and no buffer grows beyond that, nor beyond what
the codec can make of so few bytes, so a bomb costs no more memory than a large honest batch.

The library is loaded on first use: a broker that only passes batches on never needs it.
"""

from __future__ import annotations

from enum import IntEnum
from mmap import mmap
from typing import TYPE_CHECKING, Any

from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.types import Buffer


class Codec(IntEnum):
    """Compression of a batch, as bits 0-2 of its attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


DECOMPRESSED_BYTES_MAX = 128 << 20
"""Default bound on one decompressed batch: above socket.request.max.bytes, far below what hurts."""

_XERIAL_MAGIC = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL_MAGIC + (1).to_bytes(4, "big") * 2  # version, oldest compatible version
_XERIAL_BLOCK_BYTES = 32 * 1024

_GZIP_LEVEL = 6
_LZ4_LEVEL_FAST = 1
_LZ4_LEVEL_MAX = 12  # of the library; Kafka's scale goes to 17
_LZ4_LEVEL_KAFKA_DEFAULT = 9  # stands for the fast compressor there, too
_ZSTD_LEVEL = 3

# The most bytes that one compressed byte can become, by the format of each codec.
_EXPANSION_MAX = {Codec.GZIP: 1032, Codec.SNAPPY: 22, Codec.LZ4: 256, Codec.ZSTD: 43_691}
_EXPANSION_SLACK = 128 * 1024  # a whole zstd block
_FIRST_GUESS = 4  # decompressed : compressed, before the exact size is known
_MAPPED_FROM_BYTES = 256 * 1024  # the allocator would keep freed buffers of that size for itself


def compress(codec: Codec, data: Buffer, level: int | None = None) -> bytes:
    """Return `data` in the codec's container.

    `level` is on Kafka's scale for that codec (`compression.gzip.level` and so on); None is its default.
    """
    if codec == Codec.NONE:
        return bytes(data)
    return _COMPRESSORS[codec](data, level)


def decompress(codec: Codec, data: Buffer, max_size: int = DECOMPRESSED_BYTES_MAX) -> bytes:
    """Return what `compress` was given, at most `max_size` bytes of it.

    Raises: BrokerError INVALID_RECORD when `data` is damaged or holds more than `max_size` bytes.
    """
    if codec == Codec.NONE:
        if len(data) > max_size:
            raise _too_large(codec, max_size)
        return bytes(data)
    if codec == Codec.SNAPPY:
        return _snappy_decompress(memoryview(data), max_size)
    return _grow_and_decompress(codec, data, max_size)


def _grow_and_decompress(codec: Codec, data: Buffer, max_size: int) -> bytes:
    """Decompress into a buffer that grows fourfold until the result fits or the bound is reached.

    The library reports a full buffer and damaged input alike, so damage is known only at the bound; the bound is
    tight for short input, which keeps that cheap.
    """
    import cramjam  # noqa: PLC0415 - see the module head

    into = {
        Codec.GZIP: cramjam.gzip.decompress_into,
        Codec.LZ4: cramjam.lz4.decompress_into,
        Codec.ZSTD: cramjam.zstd.decompress_into,
    }[codec]
    bound = min(max_size, len(data) * _EXPANSION_MAX[codec] + _EXPANSION_SLACK)
    size = min(bound, max(len(data) * _FIRST_GUESS, 4096))
    while True:
        out = _blank(size)
        try:
            written = into(data, out)
        except cramjam.DecompressionError as error:
            if size == bound:
                raise (_damaged(codec) if bound < max_size else _too_large(codec, max_size)) from error
            size = min(size * 4, bound)
        else:
            return bytes(memoryview(out)[:written])


def _blank(size: int) -> bytearray | mmap:
    """A buffer of zeros. What is never written costs neither time nor memory, and a large one leaves none behind."""
    return bytearray(size) if size < _MAPPED_FROM_BYTES else mmap(-1, size)


def _gzip_compress(data: Buffer, level: int | None) -> bytes:
    import cramjam  # noqa: PLC0415

    return bytes(cramjam.gzip.compress(data, level=_GZIP_LEVEL if level is None or level < 0 else level))


def _lz4_compress(data: Buffer, level: int | None) -> bytes:
    import cramjam  # noqa: PLC0415

    if level is None or level == _LZ4_LEVEL_KAFKA_DEFAULT:
        level = _LZ4_LEVEL_FAST
    compressor = cramjam.lz4.Compressor(
        level=min(level, _LZ4_LEVEL_MAX), content_checksum=False, block_linked=False
    )
    compressor.compress(bytes(data))  # takes nothing but bytes
    return bytes(compressor.finish())


def _zstd_compress(data: Buffer, level: int | None) -> bytes:
    import cramjam  # noqa: PLC0415

    return bytes(cramjam.zstd.compress(data, level=_ZSTD_LEVEL if level is None else level))


def _snappy_compress(data: Buffer, _level: int | None) -> bytes:
    import cramjam  # noqa: PLC0415

    raw = cramjam.snappy.compress_raw
    view = memoryview(data)
    out = bytearray(_XERIAL_HEADER)
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = raw(view[start : start + _XERIAL_BLOCK_BYTES])
        out += len(block).to_bytes(4, "big")
        out += block
    return bytes(out)


def _snappy_decompress(data: memoryview, max_size: int) -> bytes:
    if data[: len(_XERIAL_MAGIC)] != _XERIAL_MAGIC:
        return _snappy_block(data, max_size)
    out = bytearray()
    pos = 0
    end = len(data)
    while pos < end:
        if data[pos : pos + len(_XERIAL_MAGIC)] == _XERIAL_MAGIC:  # also amid the stream: concatenated output
            pos += len(_XERIAL_HEADER)
            continue
        block_end = pos + 4 + int.from_bytes(data[pos : pos + 4], "big")
        if block_end > end or pos + 4 > end:
            raise _damaged(Codec.SNAPPY)
        out += _snappy_block(data[pos + 4 : block_end], max_size - len(out))
        pos = block_end
    if pos > end:
        raise _damaged(Codec.SNAPPY)
    return bytes(out)


def _snappy_block(data: memoryview, max_size: int) -> bytes:
    """Decompress one raw block; its head announces the size, which is believed only within the bounds."""
    import cramjam  # noqa: PLC0415

    if not data:
        raise _damaged(Codec.SNAPPY)
    try:
        size = cramjam.snappy.decompress_raw_len(data)
        if size > len(data) * _EXPANSION_MAX[Codec.SNAPPY]:
            raise _damaged(Codec.SNAPPY)
        if size > max_size:
            raise _too_large(Codec.SNAPPY, max_size)
        out = bytearray(size)
        written = cramjam.snappy.decompress_raw_into(data, out)
    except cramjam.DecompressionError as error:
        raise _damaged(Codec.SNAPPY) from error
    return bytes(memoryview(out)[:written])


def _damaged(codec: Codec) -> BrokerError:
    return BrokerError(ErrorCode.INVALID_RECORD, f"The {codec.name.lower()} data of the batch is damaged.")


def _too_large(codec: Codec, max_size: int) -> BrokerError:
    text = f"The {codec.name.lower()} data of the batch is damaged or takes more than {max_size} bytes."
    return BrokerError(ErrorCode.INVALID_RECORD, text)


_COMPRESSORS: dict[Codec, Callable[[Any, int | None], bytes]] = {
    Codec.GZIP: _gzip_compress,
    Codec.SNAPPY: _snappy_compress,
    Codec.LZ4: _lz4_compress,
    Codec.ZSTD: _zstd_compress,
}

"""Which partition of an internal topic a group or a transactional id belongs to."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from protocol.types import Buffer

_REMEMBERED_LENGTH_MAX: Final = 256
"""In characters. Longer identifiers are rare, and would fill the memory if they were not."""


def partition_of(identifier: str, partitions: int) -> int:
    """Return the partition number: Java's hash of the string, without its sign, modulo `partitions`.

    Source: Kafka Utils.abs(String.hashCode()), where the smallest int becomes 0.
    """
    java_hash = _remembered_hash if len(identifier) <= _REMEMBERED_LENGTH_MAX else _java_hash
    return _absolute(java_hash(identifier)) % partitions


def _java_hash(text: str) -> int:
    """Return String.hashCode(): s[0]·31^(n-1) + … + s[n-1] over UTF-16 units, as a signed 32-bit integer."""
    units: Buffer = text.encode("utf-16-be", "surrogatepass")
    value = 0
    for position in range(0, len(units), 2):
        value = (31 * value + (units[position] << 8 | units[position + 1])) & 0xFFFF_FFFF
    return value - (1 << 32) if value >= 1 << 31 else value


_remembered_hash = lru_cache(maxsize=16_384)(_java_hash)
"""Every heartbeat asks for the hash of its group; making it takes microseconds."""


def _absolute(value: int) -> int:
    return 0 if value == -(1 << 31) else abs(value)

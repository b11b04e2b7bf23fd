"""Which partition a record goes to, chosen as Kafka's Java producer chooses it.

With a key: murmur2 of the key, so that a key stays in one partition whoever writes it. Without: one partition takes
all until its batch is closed, then another is drawn (KIP-480), so that batches grow large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CACHED_KEYS_MAX = 65_536
_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_MASK = 0xFFFFFFFF


class Partitioner:
    """Chooses among partitions 0 to `count` - 1. `draw(n)` returns a random number below n."""

    def __init__(self, count: int, draw: Callable[[int], int]) -> None:
        self._count = count
        self._draw = draw
        self._of_key: dict[bytes, int] = {}
        self.sticky = draw(count)
        """Where records without a key go now."""

    def of_key(self, key: bytes) -> int:
        partition = self._of_key.get(key)
        if partition is None:
            if len(self._of_key) >= _CACHED_KEYS_MAX:
                self._of_key.clear()
            partition = self._of_key[key] = (murmur2(key) & 0x7FFFFFFF) % self._count
        return partition

    def batch_closed(self, partition: int) -> None:
        """Move the records without a key on to another partition when they went to this one."""
        if partition == self.sticky and self._count > 1:
            self.sticky = (partition + 1 + self._draw(self._count - 1)) % self._count


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit hash of a key, unsigned."""
    size = len(data)
    value = _SEED ^ size
    whole = size & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        value = value * _MULTIPLIER & _MASK ^ word
    if size & 3:
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 13) * _MULTIPLIER & _MASK
    return value ^ value >> 15

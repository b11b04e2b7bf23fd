"""Which records of a stretch of log are superseded by later ones with the same key: in bounded memory, without keys.

Of each record the map keeps the 128-bit hash of its key (MurmurHash3) and its number, counted from 0 in log order: 20
bytes, whatever the key. The entries lie in 256 partitions by the first byte of the hash, in the order they came.
`settle` goes through the partitions one after the other: the last entry of a hash stays, the numbers of the others are
marked as superseded. So the costly part, a dictionary of Python objects, exists for one partition at a time; it is
small enough for the processor's cache, which is why this is also twice as fast as one dictionary of everything
(docs/adr/20261130-offset-map.md).

Two keys with the same hash count as one, as in Kafka, where it is MD5: by chance that takes some 10^19 keys. Who can
find such keys on purpose may write to the topic anyway, and could overwrite the other key as it is.

Unlike Kafka's map this one is not asked about a dirty record a second time: the marks say it all. Of records below the
first dirty offset, `contains` tells in bulk whether the dirty ones supersede them.
Source: KIP-58's map is apache/kafka storage/…/log/SkimpyOffsetMap.java; the layout is our own.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING

from mmh3 import mmh3_x64_128_digest as hash128

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY_BYTES = 28
"""Memory for one entry, as measured: 20, and what growing buffers have to spare."""

_PARTITIONS = 256
_NUMBER = "I"
NUMBER_MAX = (1 << 32) - 1
"""The largest number that an entry can hold."""

KEPT = 0
SUPERSEDED = 1
TOMBSTONE = 2
"""Marks: bytes, one a record. A tombstone is a record without a value; it can be superseded, too."""

_hashes_of = Struct("16s").iter_unpack


class OffsetMap:
    """Keys, and the number of the last record of each; `marks` has a byte for every record up to the last one added."""

    def __init__(self, memory_bytes: int, load_factor: float) -> None:
        """`memory_bytes` bounds entries and marks together; the map counts as full when it holds `load_factor` of what
        would fit.
        """
        self.marks = bytearray()
        """Final once `settle` was called."""
        self._memory_bytes = memory_bytes
        self._load_factor = load_factor
        self._entries = _Entries()
        self._is_settled = True

    def __len__(self) -> int:
        """Entries: once `settle` was called, distinct keys."""
        return self._entries.count

    def has_room(self, count: int) -> bool:
        """Whether `count` more records fit; makes room by settling. An empty map takes any number of them."""
        if self._fits(count, 1.0) or not self._entries.count:
            return True
        self.settle()
        return self._fits(count, self._load_factor)

    def _fits(self, count: int, load_factor: float) -> bool:
        marks = len(self.marks) + count
        needed = (self._entries.count + count) * ENTRY_BYTES + marks
        return needed <= self._memory_bytes * load_factor and marks <= NUMBER_MAX

    def add(self, keys: Sequence[bytes | None], without_value: Sequence[int]) -> None:
        """Adds the next records; one without a key counts as superseded. `without_value` are places in `keys`."""
        self._entries.add(keys, len(self.marks))
        self.marks += _first_marks(keys, without_value)
        self._is_settled = False

    def skip(self, count: int) -> None:
        """The next records, which are of an aborted transaction, supersede nothing."""
        self.marks += bytes((SUPERSEDED,)) * count

    def settle(self) -> None:
        """Marks what is superseded, and forgets it."""
        if self._is_settled:
            return
        marks, entries = self.marks, self._entries
        entries.count = 0
        for partition, numbers in enumerate(entries.numbers):
            newest = dict(zip(entries.hashes_in(partition), numbers, strict=True))
            entries.count += len(newest)
            if len(newest) == len(numbers):
                continue
            stay = set(newest.values())
            for number in numbers:
                if number not in stay:
                    marks[number] = SUPERSEDED
            entries.hashes[partition] = bytearray(b"".join(newest))
            entries.numbers[partition] = array(_NUMBER, newest.values())
        self._is_settled = True

    def questions(self) -> KeyQuestions:
        """A collection of keys to be looked up in bulk: in the memory that the map leaves, or a tenth of all."""
        spare = self._memory_bytes - self._entries.count * ENTRY_BYTES - len(self.marks)
        return KeyQuestions(self._entries, max(spare, self._memory_bytes // 10) // ENTRY_BYTES)


class KeyQuestions:
    """Records, numbered from 0, of which is asked whether a map has their keys."""

    def __init__(self, known: _Entries, entries_max: int) -> None:
        self.marks = bytearray()
        """A byte for each record; final once `answer` was called."""
        self._known = known
        self._entries_max = entries_max
        self._asked = _Entries()

    def add(self, keys: Sequence[bytes | None], without_value: Sequence[int]) -> None:
        """Asks about the next records; see `OffsetMap.add`."""
        self._asked.add(keys, len(self.marks))
        self.marks += _first_marks(keys, without_value)
        if self._asked.count >= self._entries_max:
            self.answer()

    def answer(self) -> None:
        """Marks those whose keys the map has as superseded."""
        marks, asked = self.marks, self._asked
        for partition, numbers in enumerate(asked.numbers):
            if not numbers:
                continue
            known = set(self._known.hashes_in(partition))
            for digest, number in zip(asked.hashes_in(partition), numbers, strict=True):
                if digest in known:
                    marks[number] = SUPERSEDED
        self._asked = _Entries()


class _Entries:
    """Hashes and numbers, in partitions by the first byte of the hash."""

    __slots__ = ("count", "hashes", "numbers")

    def __init__(self) -> None:
        self.count = 0
        self.hashes = [bytearray() for _ in range(_PARTITIONS)]
        self.numbers = [array(_NUMBER) for _ in range(_PARTITIONS)]

    def add(self, keys: Sequence[bytes | None], first_number: int) -> None:
        hashes, numbers = self.hashes, self.numbers
        for number, key in enumerate(keys, first_number):
            if key is not None:
                digest = hash128(key)
                partition = digest[0]
                hashes[partition] += digest
                numbers[partition].append(number)
        self.count += len(keys)

    def hashes_in(self, partition: int) -> list[bytes]:
        return [digest for (digest,) in _hashes_of(self.hashes[partition])]


def _first_marks(keys: Sequence[bytes | None], without_value: Sequence[int]) -> bytearray:
    marks = bytearray(len(keys))
    for place in without_value:
        marks[place] = TOMBSTONE
    if None in keys:
        for place, key in enumerate(keys):
            if key is None:
                marks[place] = SUPERSEDED
    return marks

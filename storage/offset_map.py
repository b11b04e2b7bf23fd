"""Which records of a stretch of log are superseded by later ones with the same key: in bounded memory, without keys.

Of each record the map keeps the 128-bit hash of its key (MurmurHash3) and its number, counted from 0 in log order: 20
bytes, whatever the key. The entries lie in 256 partitions by the first byte of the hash, in the order they came; they
come there in lots, since lists take single ones several times faster than packed bytes do. `settle` goes through the
partitions one after the other: the last entry of a hash stays, and so its record is marked. So the costly part, a
dictionary of Python objects, exists for one partition at a time; it is small enough for the processor's cache, which is
why this is also twice as fast as one dictionary of everything (docs/adr/20261130-offset-map.md).

Two keys with the same hash count as one, as in Kafka, where it is MD5: by chance that takes some 10^19 keys. Who can
find such keys on purpose may write to the topic anyway, and could overwrite the other key as it is.

Unlike Kafka's map this one is not asked about a dirty record a second time: the marks say it all. Of records below the
first dirty offset, `questions` tell in bulk whether the dirty ones supersede them.
Source: KIP-58's map is apache/kafka storage/…/log/SkimpyOffsetMap.java; the layout is our own.
"""

from __future__ import annotations

from array import array
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING

from mmh3 import mmh3_x64_128_digest as hash128

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

_RECORD_BYTES = 2
"""Memory for the marks of one record."""
_LOT = 1 << 15
"""Entries that wait in lists: some 4 MB."""
_PIECE = Struct("16s" * 64)
"""Hashes that are unpacked at once."""


class OffsetMap:
    """Keys, and the number of the last record of each."""

    def __init__(self, memory_bytes: int, load_factor: float) -> None:
        """`memory_bytes` bounds entries and marks together; the map counts as full when it holds `load_factor` of what
        would fit.
        """
        self.marks = bytearray()
        """A byte for every record that was added before `settle` was called last."""
        self._unless_superseded = bytearray()
        """What `marks` says of the last record of a key."""
        self._memory_bytes = memory_bytes
        self._load_factor = load_factor
        self._entries = _Entries()
        self._is_settled = True

    def __len__(self) -> int:
        """Entries: once `settle` was called, distinct keys."""
        return self._entries.count

    def has_room(self, count: int) -> bool:
        """Whether `count` more records fit; makes room by settling. An empty map takes any number of them."""
        if self._fits(count, 1.0) or not self._unless_superseded:
            return True
        self.settle()
        return self._fits(count, self._load_factor)

    def _fits(self, count: int, load_factor: float) -> bool:
        records = len(self._unless_superseded) + count
        needed = (self._entries.count + count) * ENTRY_BYTES + records * _RECORD_BYTES
        return needed <= self._memory_bytes * load_factor and records <= NUMBER_MAX

    def add(self, keys: list[bytes | None], without_value: Sequence[int]) -> None:
        """Adds the next records; one without a key counts as superseded. `without_value` are places in `keys`."""
        self._entries.add(keys, len(self._unless_superseded))
        self._unless_superseded += _first_marks(keys, without_value)
        self._is_settled = False

    def skip(self, count: int) -> None:
        """The next records, which are of an aborted transaction, supersede nothing."""
        self._unless_superseded += bytes(count)
        self._is_settled = False

    def settle(self) -> None:
        """Marks what is superseded, and forgets it."""
        if self._is_settled:
            return
        mark, entries = self._unless_superseded, self._entries
        self.marks = bytearray()  # both at once would be beyond the bound
        marks = self.marks = bytearray((SUPERSEDED,)) * len(mark)
        entries.take_in()
        entries.count = 0
        for partition, numbers in enumerate(entries.numbers):
            newest = entries.newest_in(partition)
            entries.count += len(newest)
            for number in newest.values():
                marks[number] = mark[number]
            if len(newest) < len(numbers):
                entries.hashes[partition] = bytearray(b"".join(newest))
                entries.numbers[partition] = array(_NUMBER, newest.values())
        self._is_settled = True

    def questions(self) -> KeyQuestions:
        """A collection of keys to be looked up in bulk: in the memory that the map leaves, or a tenth of all."""
        spare = self._memory_bytes - self._entries.count * ENTRY_BYTES - len(self.marks) * _RECORD_BYTES
        return KeyQuestions(self._entries, max(spare, self._memory_bytes // 10) // ENTRY_BYTES)


class KeyQuestions:
    """Records, numbered from 0, of which is asked whether a map has their keys."""

    def __init__(self, known: _Entries, entries_max: int) -> None:
        self.marks = bytearray()
        """A byte for each record; final once `answer` was called."""
        self._known = known
        self._entries_max = entries_max
        self._asked = _Entries()

    def add(self, keys: list[bytes | None], without_value: Sequence[int]) -> None:
        """Asks about the next records; see `OffsetMap.add`."""
        self._asked.add(keys, len(self.marks))
        self.marks += _first_marks(keys, without_value)
        if self._asked.count >= self._entries_max:
            self.answer()

    def answer(self) -> None:
        """Marks those whose keys the map has as superseded."""
        marks, asked = self.marks, self._asked
        asked.take_in()
        for partition, numbers in enumerate(asked.numbers):
            if not numbers:
                continue
            known = self._known.newest_in(partition)
            for digest, number in zip(asked.hashes_in(partition), numbers, strict=False):
                if digest in known:
                    marks[number] = SUPERSEDED
        self._asked = _Entries()


class _Entries:
    """Hashes and numbers, in partitions by the first byte of the hash; those that came last are still `waiting`."""

    __slots__ = ("_waiting", "_waiting_hashes", "_waiting_numbers", "count", "hashes", "numbers")

    def __init__(self) -> None:
        self.count = 0
        self.hashes = [bytearray() for _ in range(_PARTITIONS)]
        self.numbers = [array(_NUMBER) for _ in range(_PARTITIONS)]
        self._waiting = 0
        self._waiting_hashes: list[list[bytes]] = [[] for _ in range(_PARTITIONS)]
        self._waiting_numbers: list[list[int]] = [[] for _ in range(_PARTITIONS)]

    def add(self, keys: list[bytes | None], first_number: int) -> None:
        hashes, numbers = self._waiting_hashes, self._waiting_numbers
        hash_of = hash128
        number = first_number
        for key in keys:
            if key is not None:
                digest = hash_of(key)
                partition = digest[0]
                hashes[partition].append(digest)
                numbers[partition].append(number)
            number += 1
        self.count += len(keys)
        self._waiting += len(keys)
        if self._waiting >= _LOT:
            self.take_in()

    def take_in(self) -> None:
        """Ends the waiting."""
        self._waiting = 0
        for partition in range(_PARTITIONS):
            self.hashes[partition] += b"".join(self._waiting_hashes[partition])
            self.numbers[partition].fromlist(self._waiting_numbers[partition])
            self._waiting_hashes[partition].clear()
            self._waiting_numbers[partition].clear()

    def newest_in(self, partition: int) -> dict[bytes, int]:
        """The last number of each hash; without what waits."""
        return dict(zip(self.hashes_in(partition), self.numbers[partition], strict=False))

    def hashes_in(self, partition: int) -> Iterator[bytes]:
        """In the order of `numbers`, and a few zeros behind them; without what waits."""
        hashes = self.hashes[partition]
        padded = hashes + bytes(-len(hashes) % _PIECE.size)
        return chain.from_iterable(_PIECE.iter_unpack(padded))


def _first_marks(keys: list[bytes | None], without_value: Sequence[int]) -> bytearray:
    marks = bytearray(len(keys))
    for place in without_value:
        marks[place] = TOMBSTONE
    if None in keys:
        for place, key in enumerate(keys):
            if key is None:
                marks[place] = SUPERSEDED
    return marks

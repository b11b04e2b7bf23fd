"""What producers sent and what was acknowledged to them, and the comparison of that with what can be read.

A batch is known by a digest of its bytes but those that a broker sets (base offset, leader epoch). Every batch sent
is different from every other, so one that is there twice was written twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from hashlib import blake2b

from logd.clients.client import Client
from protocol.records import iter_batches, read_header, verify_crc
from protocol.types import Buffer, Offset, TopicPartition

_SET_BY_BROKER = 16
"""Base offset, length and leader epoch come before; the length is checked by the checksum's extent."""


def digest(batch: Buffer) -> bytes:
    return blake2b(memoryview(batch)[_SET_BY_BROKER:], digest_size=16).digest()


class Ledger:
    """Kept by producers, audited in the end."""

    def __init__(self) -> None:
        self.sent: dict[TopicPartition, set[bytes]] = defaultdict(set)
        self.acknowledged: dict[TopicPartition, dict[Offset, bytes]] = defaultdict(dict)

    @property
    def acknowledged_count(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def send(self, partition: TopicPartition, batch: Buffer) -> None:
        """To be called before the batch leaves."""
        mark = digest(batch)
        assert mark not in self.sent[partition], "batches must differ"
        self.sent[partition].add(mark)

    def acknowledge(self, partition: TopicPartition, base_offset: Offset, batch: Buffer) -> None:
        """Raises AssertionError when the offset was given to another batch before."""
        mark = digest(batch)
        known = self.acknowledged[partition].setdefault(base_offset, mark)
        assert known == mark, (
            f"{partition}: offset {base_offset} was acknowledged twice, for different batches"
        )

    def forget(self, topic: str) -> None:
        """The topic was deleted."""
        for books in (self.sent, self.acknowledged):
            for partition in [partition for partition in books if partition.topic == topic]:
                del books[partition]

    async def audit_ends(self, client: Client, topics: Collection[str]) -> None:
        """No partition of these topics ends below what was acknowledged so far."""
        promised = {
            partition: max(acknowledged)
            for partition, acknowledged in self.acknowledged.items()
            if acknowledged and partition.topic in topics
        }
        for partition, last in promised.items():
            end = await client.list_offset(*partition)
            assert end > last, f"{partition} ends at {end}: {last} was acknowledged"

    async def audit(self, client: Client) -> int:
        """Read everything and compare; return how many batches were read.

        Every acknowledged batch is at its offset, byte for byte; offsets have no gap and no overlap; nothing is
        there that was not sent, and nothing twice.
        """
        count = 0
        for partition, sent in self.sent.items():
            found = await read_all(client, partition)
            count += len(found)
            for offset, mark in self.acknowledged[partition].items():
                assert offset in found, f"{partition}: the batch acknowledged at offset {offset} is gone"
                assert found[offset] == mark, f"{partition}: another batch is at offset {offset}"
            twice = {mark for mark, times in Counter(found.values()).items() if times > 1}
            where = [offset for offset, mark in found.items() if mark in twice]
            assert not twice, f"{partition}: {len(twice)} batches were written twice, at offsets {where[:10]}"
            marks = found.values()
            assert sent.issuperset(marks), f"{partition}: something was written that nobody sent"
        return count


async def read_all(client: Client, partition: TopicPartition) -> dict[Offset, bytes]:
    """Return the digests of all batches by base offset, from offset 0 to the high watermark."""
    topic, index = partition
    found: dict[Offset, bytes] = {}
    offset = 0
    end = await client.list_offset(topic, index)
    while offset < end:
        answer = await client.fetch(topic, index, offset, max_bytes=8 << 20)
        assert isinstance(answer.records, memoryview) and answer.records, (
            f"{partition}: nothing at {offset} of {end}"
        )
        for batch in iter_batches(answer.records):
            header = read_header(batch)
            assert header.base_offset == offset, f"{partition}: {header.base_offset} where {offset} was due"
            assert verify_crc(batch), f"{partition}: bad checksum at {offset}"
            found[offset] = digest(batch)
            offset = header.last_offset + 1
    return found

"""What consumer groups need to know of topics, remembered until topics change.

    hash of a topic: magic 0 | id | name | partition count | per partition: number | its racks, sorted
    hash of a group: the hashes of its topics, in the order of their names; 0 for a group without topics

Source: Kafka group-coordinator, Utils.java (computeTopicHash, computeGroupHash), ModernGroup.java.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

from coordinator.consumer.xxh3 import xxh3_64
from protocol.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coordinator.ports import TopicCatalog


class KnownTopics:
    """A view of the catalog. `changed` has to be told of every change."""

    __slots__ = ("_catalog", "_hashes", "_matches", "version")

    def __init__(self, catalog: TopicCatalog) -> None:
        self._catalog = catalog
        self._hashes: dict[str, int] = {}
        self._matches: dict[str, frozenset[str]] = {}
        self.version = catalog.version
        """Of the catalog when topics last changed, or when this began."""

    def changed(self) -> None:
        """Topics were created or deleted, or grew."""
        self.version = self._catalog.version
        self._hashes.clear()
        self._matches.clear()

    def ids(self, names: Iterable[str]) -> frozenset[bytes]:
        """Return the ids of those that exist."""
        found = (self._catalog.topic_id(name) for name in names)
        return frozenset(topic_id for topic_id in found if topic_id is not None)

    def partition_count(self, topic_id: bytes) -> int:
        """0 for a topic that does not exist."""
        name = self._catalog.topic_name(topic_id)
        return 0 if name is None else self._catalog.partition_count(name)

    def matching(self, regex: str) -> frozenset[str]:
        """Return the names that a pattern matches whole: none, where an engine of other rules let it in."""
        matches = self._matches.get(regex)
        if matches is None:
            from coordinator.assignors.regex import matching  # noqa: PLC0415 - its library is loaded when needed

            try:
                matches = matching(regex, self._catalog.topic_names())
            except BrokerError:
                matches = frozenset()
            self._matches[regex] = matches
        return matches

    def metadata_hash(self, names: Iterable[str]) -> int:
        """Return the hash, signed, of a group that subscribes to topics with these names, existing or not."""
        hashes = [
            self._hash(name) for name in sorted(set(names), key=_utf16) if self._catalog.partition_count(name)
        ]
        return _signed(xxh3_64(pack(f"<{len(hashes)}Q", *hashes))) if hashes else 0

    def _hash(self, name: str) -> int:
        known = self._hashes.get(name)
        if known is None:
            known = self._hashes[name] = xxh3_64(self._description(name))
        return known

    def _description(self, name: str) -> bytes:
        topic_id = self._catalog.topic_id(name)
        assert topic_id is not None
        count = self._catalog.partition_count(name)
        # An id is two longs, which the hash takes in as little-endian.
        pieces = [b"\0", topic_id[7::-1], topic_id[:7:-1], _text(name), pack("<i", count)]
        for partition in range(count):
            pieces.append(pack("<i", partition))
            for rack in sorted(self._catalog.partition_racks(name, partition), key=_utf16):
                pieces += (pack("<i", len(_utf16(rack)) // 2), _text(rack))
        return b"".join(pieces)


def _text(text: str) -> bytes:
    """Return a string as the hash takes it in: UTF-16 units, then their count."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units + pack("<i", len(units) // 2)


def _utf16(text: str) -> bytes:
    """Return what strings are ordered by in Java."""
    return text.encode("utf-16-be", "surrogatepass")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value

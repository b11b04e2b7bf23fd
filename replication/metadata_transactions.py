"""Transactions of the metadata log: records between a begin and an end that take effect together, or not at all.

Kafka's controller writes the first records of a cluster in one, since they may not fit into a batch. Here nothing is
written that way: a batch is atomic.
Source: KIP-868; Kafka controller/OffsetControlManager.java, image/loader/MetadataBatchLoader.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol.messages.records_metadata import (
    AbortTransactionRecord,
    BeginTransactionRecord,
    EndTransactionRecord,
)
from replication.metadata_image import UnusableMetadata

if TYPE_CHECKING:
    from protocol.messages.message import Message
    from protocol.types import Offset

_BOUNDARIES = (BeginTransactionRecord, EndTransactionRecord, AbortTransactionRecord)


class MetadataTransactions:
    """Holds back the records of a transaction until it is decided."""

    __slots__ = ("_held", "open_since")

    def __init__(self) -> None:
        self.open_since: Offset | None = None
        """Offset at which the transaction under way began; None outside one."""
        self._held: list[tuple[Offset, Message]] = []

    def admit(self, offset: Offset, record: Message) -> Sequence[tuple[Offset, Message]]:
        """Return the records that take effect now that `record` was read: itself, none, or all that were held back.

        Raises: UnusableMetadata when a transaction begins within another, or ends without a beginning.
        """
        if isinstance(record, _BOUNDARIES):
            return self._cross(offset, record)
        if self.open_since is None:
            return ((offset, record),)
        self._held.append((offset, record))
        return ()

    def _cross(self, offset: Offset, record: Message) -> Sequence[tuple[Offset, Message]]:
        begins = isinstance(record, BeginTransactionRecord)
        if begins == (self.open_since is not None):
            raise UnusableMetadata(f"{record.NAME} at offset {offset} is out of place")
        self.open_since = offset if begins else None
        held, self._held = self._held, []
        return held if isinstance(record, EndTransactionRecord) else ()

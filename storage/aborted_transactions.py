"""The aborted transactions of one log, over the transaction indexes of all its segments.

Most logs have none. So where the last one ends is remembered, and a reader beyond it pays for no search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import StorageFailure

if TYPE_CHECKING:
    from protocol.types import Offset, ProducerId
    from storage.segment import Segment
    from storage.segment_list import SegmentList
    from storage.txn_index import AbortedTxn
    from storage.unsynced import Unsynced


class AbortedTransactions:
    """Told of each as it is aborted, and of every truncation of the log."""

    __slots__ = ("_last_marker", "_segments", "_unsynced")

    def __init__(self, segments: SegmentList, unsynced: Unsynced) -> None:
        self._segments = segments
        self._unsynced = unsynced
        self._last_marker: Offset | None = None
        """No abort marker lies above; None where that has to be looked up."""

    def add(self, segment: Segment, aborted: AbortedTxn) -> None:
        """Writes down that a transaction was aborted by a marker that is in `segment`. Raises: StorageFailure."""
        try:
            if not segment.txn_index.entries:
                self._unsynced.add_name()  # its file is made now
            segment.txn_index.append(aborted)
        except StorageFailure as failure:
            # Without the entry, consumers would be shown what the marker aborted. So a failure that would pass (no file
            # descriptor left) ends the use of this log, too, and recovery makes the index anew.
            raise StorageFailure(failure.path, failure.message) from failure
        self._last_marker = aborted.last_offset

    def truncated(self) -> None:
        """Some may be gone."""
        self._last_marker = None

    def between(self, start: Offset, end: Offset) -> list[tuple[ProducerId, Offset]]:
        """Returns (producer id, first offset) of each with records in [start, end).

        Raises: CorruptLog, StorageFailure.
        """
        if self._last_marker is None:
            self._last_marker = self._find_last_marker()
        found: list[tuple[ProducerId, Offset]] = []
        if start > self._last_marker:
            return found
        for segment in self._segments[self._segments.number_at(start) :]:
            aborted, complete = segment.txn_index.lookup(start, end)
            found += [(txn.producer_id, txn.first_offset) for txn in aborted]
            if complete:
                break
        return found

    def _find_last_marker(self) -> Offset:
        for segment in reversed(self._segments[:]):
            entries = segment.txn_index.entries
            if entries:
                return entries[-1].last_offset
        return -1

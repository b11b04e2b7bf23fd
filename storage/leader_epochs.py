"""Where each leader epoch of a partition begins (leader-epoch-checkpoint).

A follower or consumer that holds an epoch and an offset asks a leader where that epoch ended; if it ended lower,
the asker has records that the cluster dropped, and truncates (KIP-101, KIP-279, KIP-320).

Entries (epoch, start offset) ascend strictly in both columns. The last epoch has no end but the log end. An entry
is made when a replica becomes leader and when the first batch of an epoch is written, by whichever comes first.

Changes are made in memory; the log writes them (`take_unsaved`) before it moves the recovery point and when it
closes. That is soon enough: batches carry their epoch, so recovery makes the entries at and above the recovery
point anew, and an entry that a crash brings back is dropped by the truncations of opening.
Source: apache/kafka storage/…/epoch/LeaderEpochFileCache.java.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from protocol.types import LeaderEpoch, Offset

UNDEFINED: tuple[LeaderEpoch, Offset] = (-1, -1)
"""The answer when nothing is known of an epoch."""


class LeaderEpochCache:
    """The leader epochs of one log, in memory."""

    def __init__(self, entries: Iterable[tuple[LeaderEpoch, Offset]] = ()) -> None:
        """Take up entries (epoch, start offset) as read from the checkpoint; those out of order are dropped."""
        self._epochs: list[LeaderEpoch] = []
        self._start_offsets: list[Offset] = []
        self.latest: LeaderEpoch = -1
        """The last epoch; -1 when there is none."""
        for epoch, start_offset in entries:
            self.assign(epoch, start_offset)
        self._unsaved = False

    @property
    def entries(self) -> list[tuple[LeaderEpoch, Offset]]:
        """A copy of all entries (epoch, start offset), oldest first."""
        return list(zip(self._epochs, self._start_offsets, strict=True))

    def assign(self, epoch: LeaderEpoch, start_offset: Offset) -> None:
        """Note that `epoch` begins at `start_offset`; nothing happens when it began earlier.

        Entries that contradict it (same or later epoch, same or higher start) are dropped: the new one is what
        is about to be written, or was read from the log.
        """
        assert epoch >= 0 and start_offset >= 0
        epochs, starts = self._epochs, self._start_offsets
        if epoch == self.latest and starts[-1] <= start_offset:
            return
        while epochs and (epochs[-1] >= epoch or starts[-1] >= start_offset):
            epochs.pop()
            starts.pop()
        epochs.append(epoch)
        starts.append(start_offset)
        self.latest = epoch
        self._unsaved = True

    def end_offset_for(self, epoch: LeaderEpoch, log_end_offset: Offset) -> tuple[LeaderEpoch, Offset]:
        """Return the greatest known epoch at or below `epoch`, and where it ended (exclusive).

        For an epoch older than all known: itself, and the first known start. For one newer, or -1: `UNDEFINED`.
        """
        if epoch == self.latest and epoch >= 0:
            return epoch, log_end_offset
        if epoch < 0 or epoch > self.latest:
            return UNDEFINED
        following = bisect_right(self._epochs, epoch)
        found = self._epochs[following - 1] if following else epoch
        return found, self._start_offsets[following]

    def epoch_at(self, offset: Offset) -> LeaderEpoch:
        """Return the epoch that the record at `offset` belongs to; -1 when it lies below all known."""
        index = bisect_right(self._start_offsets, offset)
        return self._epochs[index - 1] if index else -1

    def truncate_from_end(self, end_offset: Offset) -> None:
        """Drop the epochs that begin at or above `end_offset`, where the log now ends."""
        self._keep(0, bisect_left(self._start_offsets, end_offset))

    def truncate_from_start(self, start_offset: Offset) -> None:
        """Drop the epochs that end at or below `start_offset`; the one that holds it now begins there."""
        following = bisect_right(self._start_offsets, start_offset)
        if following and self._start_offsets[following - 1] != start_offset:
            self._start_offsets[following - 1] = start_offset
            self._unsaved = True
        self._keep(max(following - 1, 0), len(self._epochs))

    def clear(self) -> None:
        """Drop all entries."""
        self._keep(0, 0)

    def take_unsaved(self) -> list[tuple[LeaderEpoch, Offset]] | None:
        """Return all entries for the checkpoint file; None when they are those last read or returned here.

        The caller writes them before anything that relies on it; if that fails the log directory is lost anyway.
        """
        if not self._unsaved:
            return None
        self._unsaved = False
        return self.entries

    def _keep(self, start: int, stop: int) -> None:
        if stop - start == len(self._epochs):
            return
        self._epochs = self._epochs[start:stop]
        self._start_offsets = self._start_offsets[start:stop]
        self.latest = self._epochs[-1] if self._epochs else -1
        self._unsaved = True

"""Making transaction indexes anew: those that are damaged, or that somebody removed with the others for that purpose.

They follow from the batches and from what was known of producers where a segment begins: from the snapshot there, or
from an earlier one and the batches since. The log's own producer state is another matter, and stays as it is: its last
snapshot knows more than the batches that compaction and retention have left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence

from protocol.errors import BrokerError
from protocol.types import Offset
from storage import producer_snapshot
from storage.batch_scan import iter_checked
from storage.errors import CorruptLog
from storage.fs import FileSystem
from storage.producer_replay import replay_batch, replay_segments
from storage.producer_state import ProducerStateManager
from storage.segment import Segment
from storage.txn_index import AbortedTxn


def find_lost(fs: FileSystem, segments: Sequence[Segment], without_index: Collection[Offset]) -> list[int]:
    """Numbers of the segments whose transaction index cannot be believed; `without_index` are the base offsets of those
    that lack another index. Raises: StorageFailure.
    """
    lost = []
    for number, segment in enumerate(segments):
        try:
            segment.txn_index.sanity_check()
        except CorruptLog:
            lost.append(number)
        else:
            # Most segments have none; one whose other indexes are there, too, never had it.
            if segment.base_offset in without_index and not fs.exists(segment.txn_index.path):
                lost.append(number)
    return lost


def make_anew(
    fs: FileSystem,
    directory: str,
    segments: Sequence[Segment],
    numbers: Sequence[int],
    snapshot_offsets: Sequence[Offset],
    *,
    gaps: bool,
) -> None:
    """Reads the segments with these numbers, and what lies between them and the snapshots before them.

    Blocks. Raises: CorruptLog, StorageFailure.
    """
    producers = ProducerStateManager(fs, directory)
    base_offsets = [segment.base_offset for segment in segments]
    known_up_to: Offset = -1
    for number in numbers:
        segment = segments[number]
        if known_up_to != segment.base_offset:
            start = _restore_before(fs, producers, snapshot_offsets, segment.base_offset)
            since = segments[max(bisect_right(base_offsets, start) - 1, 0) :]
            replay_segments(producers, since, start, segment.base_offset, gaps=gaps)
        _make(segment, producers, gaps=gaps)
        known_up_to = base_offsets[number + 1] if number + 1 < len(segments) else -1


def _restore_before(
    fs: FileSystem, producers: ProducerStateManager, snapshot_offsets: Sequence[Offset], offset: Offset
) -> Offset:
    """Takes up the newest sound snapshot at or below `offset`; returns where it was taken, 0 without one."""
    producers.forget()
    for taken_at in reversed(snapshot_offsets):
        if taken_at > offset:
            continue
        path = f"{producers.directory}/{producer_snapshot.file_name(taken_at)}"
        try:
            producers.restore(producer_snapshot.decode(fs.read_file(path)))
        except producer_snapshot.CorruptSnapshot:
            continue
        return taken_at
    return 0


def _make(segment: Segment, producers: ProducerStateManager, *, gaps: bool) -> None:
    entries: list[AbortedTxn] = []
    batches = iter_checked(segment.file, 0, segment.size_bytes, due=segment.base_offset, gaps=gaps)
    for position, header, batch in batches:
        try:
            aborted = replay_batch(producers, header, batch)
        except BrokerError as error:  # a transaction marker that says nothing
            raise CorruptLog(segment.path, position, str(error)) from error
        if aborted is not None:
            entries.append(aborted)
    segment.txn_index.replace(entries)
    segment.close()

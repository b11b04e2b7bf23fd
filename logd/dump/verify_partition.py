"""Checking a partition's directory: its segments in order, and what lies beside them.

Segments must follow each other without holes, unless a cleaner may have taken records out. Snapshots of the producer
state at a segment's start, or at the end, must say of each producer what its last batch in the log says.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from logd.dump.file_rows import read_quorum_state
from logd.dump.finding import REMOVE_FILE, RESTORE_FILE
from logd.dump.kinds import Kind, is_replacement, kind_of_file
from logd.dump.verify_context import DirectoryState, PartitionContext, PartitionWalk
from logd.dump.verify_segment import RESTORE, SegmentCheck
from logd.dump.verify_snapshot import verify_metadata_snapshot
from protocol.records import HEADER_SIZE, read_header
from protocol.types import uuid_to_str
from storage import producer_snapshot
from storage.checkpoint import LEADER_EPOCHS, read_leader_epochs, read_offsets
from storage.errors import MalformedFile, StorageFailure
from storage.fs import OpenMode, has_content
from storage.leader_epochs import LeaderEpochCache
from storage.partition_metadata import read_topic_id
from storage.producer_state import ProducerStateManager
from storage.recovery.leftovers import base_offset_of
from storage.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from logd.dump.finding import Report
    from protocol.records import BatchHeader
    from protocol.types import LeaderEpoch, Offset
    from storage.fs import FileSystem
    from storage.producer_snapshot import SnapshotEntry

_SETTLED_AT_START = "the next start of a broker finishes or undoes what it is of"


class PartitionEnds(NamedTuple):
    """What a check of a partition learnt of its log."""

    first_offset: Offset
    """Base offset of the first segment; 0 where there is none."""
    log_end_offset: Offset
    is_sure: bool
    """False when a running broker took the last segment away meanwhile."""


class PartitionCheck:
    """One pass over one partition's directory."""

    def __init__(self, fs: FileSystem, directory: str, context: PartitionContext, report: Report) -> None:
        self._fs = fs
        self._directory = directory
        self._context = context
        self._report = report
        self._names = fs.listdir(directory)
        self._snapshots: dict[Offset, list[SnapshotEntry]] = {}
        self._last_epoch: LeaderEpoch = -1
        """Of the last batch in the log."""
        self._end_is_sure = False

    def run(self, *, only: Offset | None = None) -> PartitionEnds:
        """Check everything, or of the segments only the one that begins with `only`. Raises: StorageFailure."""
        self._report.partitions += 1
        epochs = self._read_epochs()
        self._read_snapshots()
        bases = sorted(
            offset
            for name in self._names
            if kind_of_file(name) is Kind.SEGMENT and (offset := base_offset_of(name)) is not None
        )
        producers = ProducerStateManager(self._fs, self._directory)
        walk = PartitionWalk(producers, epochs)
        first = bases[0] if bases else 0
        end = self._check_segments(bases, walk, only)
        self._last_epoch = walk.last_epoch
        if only is None:
            self._check_beside(bases)
            self._check_epochs(epochs, first, end)
        return PartitionEnds(first, end, self._end_is_sure)

    # -- segments ------------------------------------------------------------------------------------------

    def _check_segments(self, bases: list[Offset], walk: PartitionWalk, only: Offset | None) -> Offset:
        end = bases[0] if bases else 0
        follows = not bases
        for number, base in enumerate(bases):
            if only is not None and base != only:
                continue
            if number == 0 or only is not None:
                self._begin_history(walk, base)
            elif follows and end != base:
                self._meet_hole(walk, end, base)
            self._compare_snapshot(walk, base)
            next_base = bases[number + 1] if number + 1 < len(bases) else None
            check = SegmentCheck(
                self._fs, self._directory, base, next_base, walk, self._context, self._report
            )
            try:
                check.run()
            except StorageFailure as failure:
                if not self._vanished(failure):
                    raise
                walk.history_is_whole = follows = False
                self._report.note(failure.path, "was removed while this looked at it")
                continue
            self._report.files += 1
            end = max(check.end, base)
            follows = True
        if only is None and bases:
            self._compare_snapshot(walk, end)
        self._end_is_sure = follows
        return end

    def _begin_history(self, walk: PartitionWalk, base: Offset) -> None:
        """What the producers did before the first segment stands in the snapshot at its start."""
        if base == 0:
            walk.history_is_whole = True
        elif base in self._snapshots and walk.producers is not None:
            walk.producers.restore(self._snapshots[base])
            walk.history_is_whole = True

    def _meet_hole(self, walk: PartitionWalk, end: Offset, base: Offset) -> None:
        walk.history_is_whole = False
        path = f"{self._directory}/{base:020d}{LOG_SUFFIX}"
        if end > base:
            self._report.problem(
                path, f"begins with offset {base}, the one before ends with {end - 1}", RESTORE
            )
        elif not self._context.may_have_gaps:
            text = f"begins with offset {base}, {end} was due: {base - end} offsets are missing"
            if not self._context.gaps_known:
                text += " (in order if the topic is or was compacted: then ask again with --compacted)"
            self._report.problem(path, text, RESTORE, offset=end)

    def _compare_snapshot(self, walk: PartitionWalk, offset: Offset) -> None:
        entries = self._snapshots.get(offset)
        if (
            entries is None
            or walk.producers is None
            or not walk.history_is_whole
            or self._context.may_have_gaps
        ):
            return
        made = {entry.producer_id: entry for entry in walk.producers.entries()}
        for entry in entries:
            replayed = made.get(entry.producer_id)
            if replayed is None or _essence(entry) == _essence(replayed):
                continue  # one that is not in the log any more may still be remembered
            path = f"{self._directory}/{producer_snapshot.file_name(offset)}"
            text = (
                f"says {_essence(entry)} of producer {entry.producer_id}, the log says {_essence(replayed)}"
            )
            self._report.problem(path, text, REMOVE_FILE, offset=offset)

    # -- what lies beside --------------------------------------------------------------------------------------

    def _read_epochs(self) -> LeaderEpochCache:
        path = f"{self._directory}/{LEADER_EPOCHS}"
        if not has_content(self._fs, path):
            return LeaderEpochCache()
        self._report.files += 1
        try:
            entries = read_leader_epochs(self._fs, path)
        except MalformedFile as error:
            self._report.problem(path, error.reason, REMOVE_FILE)
            return LeaderEpochCache()
        for before, entry in pairwise(entries):
            if before[0] >= entry[0] or before[1] >= entry[1]:
                self._report.problem(
                    path, f"epoch {entry[0]} from offset {entry[1]} on does not ascend", REMOVE_FILE
                )
                return LeaderEpochCache()
        return LeaderEpochCache(entries)

    def _check_epochs(self, epochs: LeaderEpochCache, first: Offset, end: Offset) -> None:
        path = f"{self._directory}/{LEADER_EPOCHS}"
        if not epochs.entries:
            if self._last_epoch >= 0 and self._context.state is DirectoryState.CLEAN:
                self._report.problem(path, "knows no epoch, the log has some", REMOVE_FILE)
            return
        epoch, start = epochs.entries[-1]
        if start > end and self._context.state is not DirectoryState.RUNNING:
            self._report.problem(path, f"epoch {epoch} begins at {start}, the log ends at {end}", REMOVE_FILE)
        first_epoch, first_start = epochs.entries[0]
        if first_start <= self._context.log_start_offset or self._context.state is DirectoryState.RUNNING:
            return  # epochs begin where the log does, which may be within a segment, and may have moved meanwhile
        header = self._first_header(first)
        if header is not None and header.leader_epoch >= 0 and header.last_offset < first_start:
            text = f"its first epoch {first_epoch} begins at {first_start}, behind the first batch of the log"
            self._report.problem(path, text, REMOVE_FILE)

    def _first_header(self, first: Offset) -> BatchHeader | None:
        path = f"{self._directory}/{first:020d}{LOG_SUFFIX}"
        if not self._fs.exists(path):
            return None
        data = self._fs.open(path, OpenMode.READ).read_at(0, HEADER_SIZE)
        return read_header(data) if len(data) == HEADER_SIZE else None

    def _read_snapshots(self) -> None:
        offsets = [
            offset for name in self._names if (offset := producer_snapshot.end_offset_of(name)) is not None
        ]
        for offset in offsets:
            path = f"{self._directory}/{producer_snapshot.file_name(offset)}"
            self._report.files += 1
            try:
                self._snapshots[offset] = producer_snapshot.decode(self._fs.read_file(path))
            except producer_snapshot.CorruptSnapshot as error:
                if self._context.state is DirectoryState.RUNNING and offset == max(offsets):
                    self._report.note(path, "is being written")
                else:
                    self._report.problem(path, str(error), REMOVE_FILE)
            except StorageFailure as failure:
                if not self._vanished(failure):
                    raise

    def _check_beside(self, bases: list[Offset]) -> None:
        stems = {f"{base:020d}" for base in bases}
        leftovers: list[str] = []
        for name in self._names:
            path = f"{self._directory}/{name}"
            match kind_of_file(name):
                case Kind.OFFSET_INDEX | Kind.TIME_INDEX | Kind.TXN_INDEX if (
                    name.partition(".")[0] not in stems
                ):
                    self._report.note(
                        path, "is the index of no segment", "the next start of a broker removes it"
                    )
                case Kind.LEFTOVER if is_replacement(name) and self._context.state is DirectoryState.RUNNING:
                    pass  # the broker is writing it
                case Kind.LEFTOVER:
                    leftovers.append(name)
                case Kind.CUT:
                    advice = "look at it with `logd dump`, remove it when nothing in it is needed"
                    self._report.note(path, "keeps what recovery cut off the log", advice)
                case Kind.METADATA_SNAPSHOT:
                    verify_metadata_snapshot(self._fs, path, self._report)
                case Kind.UNKNOWN:
                    self._report.note(path, "is no file of a broker's")
                case _:
                    self._check_small(path, kind_of_file(name))

        self._name_leftovers(leftovers)

    def _name_leftovers(self, names: list[str]) -> None:
        """One note for all files with the same ending: a cleaner at work leaves dozens."""
        for suffix in sorted({name.rpartition(".")[2] for name in names}):
            same = [name for name in names if name.endswith(f".{suffix}")]
            more = f" (and {len(same) - 1} more files ending in .{suffix})" if len(same) > 1 else ""
            text, advice = "is left over from something interrupted", _SETTLED_AT_START
            if suffix == "deleted":
                text, advice = "has left the log", "a broker removes it soon, at the latest when it starts"
            self._report.note(f"{self._directory}/{same[0]}", text + more, advice)

    def _check_small(self, path: str, kind: Kind) -> None:
        try:
            match kind:
                case Kind.PARTITION_METADATA:
                    self._check_topic_id(path)
                case Kind.QUORUM_STATE:
                    self._check_quorum_state(path)
                case Kind.OFFSET_CHECKPOINT if has_content(self._fs, path):
                    read_offsets(self._fs, path)
                case _:
                    return
            self._report.files += 1
        except MalformedFile as error:
            self._report.problem(path, error.reason, RESTORE_FILE)

    def _check_quorum_state(self, path: str) -> None:
        epoch = read_quorum_state(self._fs, path)["leaderEpoch"]
        if epoch < self._last_epoch and self._context.state is not DirectoryState.RUNNING:
            text = f"leaderEpoch is {epoch}, the log has batches of epoch {self._last_epoch}"
            self._report.problem(path, text, RESTORE_FILE)

    def _check_topic_id(self, path: str) -> None:
        found, expected = read_topic_id(self._fs, path), self._context.topic_id
        if found is not None and expected is not None and found != expected:
            text = f"topic id {uuid_to_str(found)}, by the metadata it is {uuid_to_str(expected)}"
            advice = "it is of a topic deleted since, whose name was used again: a broker sets it aside"
            self._report.problem(path, text, advice)

    def _vanished(self, failure: StorageFailure) -> bool:
        """Whether a running broker took the file away meanwhile, as retention and cleaners do."""
        return self._context.state is DirectoryState.RUNNING and not self._fs.exists(failure.path)


def _essence(entry: SnapshotEntry) -> str:
    """What a producer's next batch is judged by."""
    transaction = f", transaction open since {entry.txn_first_offset}" if entry.txn_first_offset >= 0 else ""
    return f"epoch {entry.epoch}, sequence {entry.last_sequence}, offset {entry.last_offset}{transaction}"

"""Opening the metadata log: recover it, build the image, begin a new epoch.

    newest snapshot ──► image ◄── log from the snapshot's end offset on

Everything is read anyway, so every batch is checked, after a clean stop too. Damage at or above the recovery point is
the tail of a power failure, which nobody was told of, and is cut; below it is rot and refused: without its metadata a
broker would take every partition for a deleted one.

The new epoch's first records (LEADER_CHANGE; for a new cluster the bootstrap records) are written here and become
durable with the first command, before anybody is served.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from logd.metadata.batches import metadata_batch, read_metadata_batch
from logd.metadata.files import (
    METADATA_DIRECTORY,
    METADATA_PARTITION,
    METADATA_TOPIC_ID,
    ensure_bootstrap,
    ensure_topic_id,
    read_quorum_epoch,
    read_recovery_point,
    write_quorum_state,
)
from logd.metadata.snapshot import SnapshotId, read_snapshot, snapshot_batches, snapshots_in
from protocol.control_records import control_batch, leader_change
from replication.features import bootstrap_records
from replication.metadata_image import MetadataDelta, MetadataImage, UnusableMetadata
from replication.metadata_transactions import MetadataTransactions
from storage.batch_scan import iter_checked
from storage.config import LogConfig
from storage.log import AppendOrigin, Log
from storage.recovery.loader import load_log

if TYPE_CHECKING:
    from protocol.types import LeaderEpoch, NodeId, Offset, TimestampMs
    from storage.fs import FileSystem

log = logging.getLogger("logd.metadata")

_BATCH_BYTES_MAX: Final = 1 << 30
"""A command's batch is never refused for its size; how large it may grow is the controller's matter."""


class RecoveredMetadata(NamedTuple):
    """What opening the log gave."""

    log: Log
    image: MetadataImage
    epoch: LeaderEpoch
    """The one just begun."""
    unsynced_parent: str | None
    """Directory to be synced with the first command: the log's own was made in it just now."""
    deleted_topics: frozenset[bytes]
    """Ids of topics whose deletions are in the log; those in front of the snapshot are forgotten."""


def recover_metadata(
    fs: FileSystem, data_dir: str, *, node_id: NodeId, clean: bool, now_ms: TimestampMs
) -> RecoveredMetadata:
    """Open the metadata log in `data_dir`, or make it; `clean` says that the broker was stopped properly.

    Blocks. Raises: CorruptLog, UnusableMetadata: the broker must not start; StorageFailure.
    """
    directory = f"{data_dir}/{METADATA_DIRECTORY}"
    is_new = not fs.is_dir(directory)
    fs.mkdir(directory)
    metadata_log = _open_log(fs, directory, clean, now_ms)
    image = MetadataImage()
    snapshot = _load_snapshot(fs, directory, image)
    _join(metadata_log, snapshot, now_ms)
    deleted_topics = _replay(metadata_log, snapshot.end_offset, image)
    epoch = max(metadata_log.leader_epochs.latest, snapshot.epoch, read_quorum_epoch(fs, directory)) + 1
    recovered = RecoveredMetadata(metadata_log, image, epoch, data_dir if is_new else None, deleted_topics)
    _begin_epoch(recovered, node_id, now_ms)
    write_quorum_state(fs, directory, node_id, epoch)
    ensure_topic_id(fs, directory)
    ensure_bootstrap(
        fs, data_dir, snapshot_batches(bootstrap_records(), epoch=0, now_ms=now_ms, last_timestamp=0)
    )
    return recovered


def _open_log(fs: FileSystem, directory: str, clean: bool, now_ms: TimestampMs) -> Log:
    metadata_log, report = load_log(
        fs,
        directory,
        METADATA_PARTITION,
        LogConfig(
            max_message_bytes=_BATCH_BYTES_MAX, segment_bytes=_BATCH_BYTES_MAX, cleanup_policy=frozenset()
        ),
        topic_id=METADATA_TOPIC_ID,
        recovery_point=read_recovery_point(fs, directory),
        log_start_offset=0,
        clean=clean,
        now_ms=now_ms,
    )
    if report.cut_offset >= 0:
        log.warning(
            "metadata log cut offset=%d bytes=%d kept=%s reason=%s",
            report.cut_offset,
            report.cut_bytes,
            ",".join(report.cut_files),
            report.cut_reason,
        )
    return metadata_log


def _load_snapshot(fs: FileSystem, directory: str, image: MetadataImage) -> SnapshotId:
    """Fill the image from the newest snapshot; the one of an empty log stands for none."""
    snapshot = max(snapshots_in(fs, directory), default=SnapshotId(0, -1))
    if snapshot.end_offset > 0:
        delta = MetadataDelta()
        for record in read_snapshot(fs, f"{directory}/{snapshot.file_name}"):
            image.replay(snapshot.end_offset - 1, record, delta)
    return snapshot


def _join(metadata_log: Log, snapshot: SnapshotId, now_ms: TimestampMs) -> None:
    """See to it that the log goes on where the snapshot ends. Raises: UnusableMetadata."""
    if metadata_log.log_start_offset > snapshot.end_offset:
        raise UnusableMetadata(
            f"the metadata log in {metadata_log.directory} begins at offset {metadata_log.log_start_offset}, and "
            f"there is no snapshot of what came before"
        )
    if metadata_log.log_end_offset < snapshot.end_offset:
        metadata_log.truncate_fully_and_start_at(snapshot.end_offset, now_ms)


def _replay(metadata_log: Log, start: Offset, image: MetadataImage) -> frozenset[bytes]:
    """Take every record from offset `start` on into the image; return the ids of topics that were deleted.

    Raises: CorruptLog, UnusableMetadata.
    """
    transactions = MetadataTransactions()
    deleted: set[bytes] = set()
    for segment in metadata_log.segments:
        if not segment.size_bytes:
            continue
        for _, header, batch in iter_checked(
            segment.file, 0, segment.size_bytes, due=segment.base_offset, gaps=False
        ):
            if header.last_offset >= start:
                delta = MetadataDelta()
                for read_offset, read in read_metadata_batch(batch):
                    for offset, record in transactions.admit(read_offset, read):
                        image.replay(offset, record, delta)
                deleted.update(topic.topic_id for topic in delta.deleted_topics)
    problem = image.unsupported.problem()
    if problem is not None:
        raise UnusableMetadata(problem)
    return frozenset(deleted)


def _begin_epoch(recovered: RecoveredMetadata, node_id: NodeId, now_ms: TimestampMs) -> None:
    """Append what opens the epoch, and in a new cluster its first records."""
    metadata_log, image, epoch = recovered.log, recovered.image, recovered.epoch
    change = control_batch([leader_change(node_id, [node_id], [node_id])], timestamp_ms=now_ms)
    metadata_log.append(change, leader_epoch=epoch, now_ms=now_ms, origin=AppendOrigin.RAFT_LEADER)
    if not image.features:
        records = bootstrap_records()
        offset = metadata_log.log_end_offset
        batch = metadata_batch(records, timestamp_ms=now_ms)
        metadata_log.append(batch, leader_epoch=epoch, now_ms=now_ms, origin=AppendOrigin.RAFT_LEADER)
        delta = MetadataDelta()
        for index, record in enumerate(records):
            image.replay(offset + index, record, delta)

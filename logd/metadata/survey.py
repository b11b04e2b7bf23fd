"""Reading the metadata of a stopped Kafka node without changing anything: snapshot, log, and who votes on it.

What Kafka stopped cleanly is whole, so anything torn or out of place is a refusal here and never repaired. Opening the
log for good is `logd.metadata.recovery`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from logd.metadata.batches import read_metadata_batch, read_voters
from logd.metadata.files import BOOTSTRAP_FILE, METADATA_DIRECTORY, QUORUM_STATE
from logd.metadata.snapshot import SnapshotId, read_snapshot, read_snapshot_voters, snapshots_in
from replication.metadata_image import MetadataDelta, MetadataImage, UnusableMetadata
from replication.metadata_transactions import MetadataTransactions
from storage.batch_scan import iter_checked
from storage.fs import OpenMode
from storage.recovery.leftovers import base_offset_of
from storage.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from protocol.types import NodeId
    from storage.fs import FileSystem

_CURRENT_VOTERS: Final = re.compile(rb'"currentVoters"\s*:\s*\[([^\]]*)\]')
_VOTER_ID: Final = re.compile(rb'"voterId"\s*:\s*(\d+)')


class MetadataSurvey(NamedTuple):
    """What a node's metadata amounts to."""

    image: MetadataImage
    voters: tuple[NodeId, ...]
    """Members of the metadata quorum; empty where nothing names them."""


def survey_metadata(fs: FileSystem, data_dir: str) -> MetadataSurvey:
    """Read the metadata log in `data_dir`. Raises: CorruptLog, UnusableMetadata, StorageFailure."""
    directory = f"{data_dir}/{METADATA_DIRECTORY}"
    image = MetadataImage()
    voters = _quorum_state_voters(fs, directory)
    snapshot = SnapshotId(0, -1)
    for snapshot in snapshots_in(fs, directory)[-1:]:
        path = f"{directory}/{snapshot.file_name}"
        for record in read_snapshot(fs, path):
            image.replay(snapshot.end_offset - 1, record, MetadataDelta())
        voters = read_snapshot_voters(fs, path) or voters
    return MetadataSurvey(image, _replay_log(fs, directory, snapshot, image) or voters)


def survey_bootstrap(fs: FileSystem, data_dir: str) -> MetadataImage:
    """Read what a directory that was formatted, but never used, is to begin with.

    Raises: CorruptLog, UnusableMetadata, StorageFailure.
    """
    image = MetadataImage()
    paths = [f"{data_dir}/{BOOTSTRAP_FILE}"]
    directory = f"{data_dir}/{METADATA_DIRECTORY}"
    if fs.is_dir(directory):
        paths += [f"{directory}/{snapshot.file_name}" for snapshot in snapshots_in(fs, directory)]
    for path in paths:
        if fs.exists(path):
            for record in read_snapshot(fs, path):
                image.replay(-1, record, MetadataDelta())
    return image


def has_log(fs: FileSystem, data_dir: str) -> bool:
    """Whether anything was ever written to a metadata log in `data_dir`. Raises: StorageFailure."""
    directory = f"{data_dir}/{METADATA_DIRECTORY}"
    return fs.is_dir(directory) and any(fs.size(path) for path in _segments(fs, directory))


def _replay_log(
    fs: FileSystem, directory: str, snapshot: SnapshotId, image: MetadataImage
) -> tuple[NodeId, ...] | None:
    """Take every record behind the snapshot into the image; return the voters that were named last."""
    voters: tuple[NodeId, ...] | None = None
    transactions = MetadataTransactions()
    due = -1
    for path in _segments(fs, directory):
        file = fs.open(path, OpenMode.READ)
        base_offset = base_offset_of(path.rpartition("/")[2])
        assert base_offset is not None
        if due not in (-1, base_offset) or (due < 0 and base_offset > snapshot.end_offset):
            raise UnusableMetadata(f"the metadata log has a gap in front of {path}")
        due = base_offset
        for _, header, batch in iter_checked(file, 0, file.size(), due=base_offset, gaps=False):
            due = header.last_offset + 1
            if header.is_control:
                voters = read_voters(batch) or voters
            elif header.last_offset >= snapshot.end_offset:
                for offset, record in read_metadata_batch(batch):
                    for taken_offset, taken in transactions.admit(offset, record):
                        image.replay(taken_offset, taken, MetadataDelta())
        file.close()
    if transactions.open_since is not None:
        raise UnusableMetadata(
            f"the metadata log ends within a transaction that began at offset {transactions.open_since}"
        )
    return voters


def _segments(fs: FileSystem, directory: str) -> list[str]:
    return [
        f"{directory}/{name}"
        for name in fs.listdir(directory)
        if name.endswith(LOG_SUFFIX) and base_offset_of(name) is not None
    ]


def _quorum_state_voters(fs: FileSystem, directory: str) -> tuple[NodeId, ...]:
    """The voters of a quorum that was fixed by configuration; a quorum that may change has its voters in the log."""
    path = f"{directory}/{QUORUM_STATE}"
    match = _CURRENT_VOTERS.search(fs.read_file(path)) if fs.exists(path) else None
    return () if match is None else tuple(int(voter) for voter in _VOTER_ID.findall(match[1]))

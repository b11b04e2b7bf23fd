"""What a path in a data directory is, told from its name."""

from __future__ import annotations

import enum
import posixpath
import re
from typing import TYPE_CHECKING

from logd.metadata.files import BOOTSTRAP_FILE, QUORUM_STATE
from protocol.types import TopicPartition
from storage import checkpoint, offset_index, producer_snapshot, time_index, txn_index
from storage.directories.clean_shutdown import CLEAN_SHUTDOWN
from storage.directories.data_directory import LOCK_FILE
from storage.directories.directory_names import parse_partition_directory, set_aside_suffix
from storage.directories.meta_properties import META_PROPERTIES
from storage.fs import ATOMIC_SUFFIX
from storage.partition_metadata import PARTITION_METADATA
from storage.recovery.cut_tail import CUT_SUFFIX
from storage.recovery.leftovers import CLEANED_SUFFIX, REPLACED_SUFFIX, SWAP_SUFFIX
from storage.segment import DELETED_SUFFIX, LOG_SUFFIX

if TYPE_CHECKING:
    from storage.fs import FileSystem

OFFSET_CHECKPOINTS = (
    checkpoint.RECOVERY_POINTS,
    checkpoint.LOG_START_OFFSETS,
    checkpoint.HIGH_WATERMARKS,
    checkpoint.CLEANER_OFFSETS,
)


class Kind(enum.Enum):
    """Kinds of files and directories."""

    SEGMENT = "segment"
    OFFSET_INDEX = "offset index"
    TIME_INDEX = "time index"
    TXN_INDEX = "transaction index"
    PRODUCER_SNAPSHOT = "producer snapshot"
    METADATA_SNAPSHOT = "metadata snapshot"
    OFFSET_CHECKPOINT = "offset checkpoint"
    LEADER_EPOCHS = "leader epochs"
    PARTITION_METADATA = "partition metadata"
    META_PROPERTIES = "meta properties"
    CLEAN_SHUTDOWN = "clean shutdown marker"
    QUORUM_STATE = "quorum state"
    LOCK = "lock"
    CUT = "cut bytes"
    """What recovery cut off a log and kept."""
    LEFTOVER = "leftover"
    """Of something that was interrupted, or is about to be removed."""
    PARTITION = "partition"
    SET_ASIDE = "set aside partition"
    DATA_DIRECTORY = "data directory"
    UNKNOWN = "unknown"


_STEM = r"[0-9]{20}"
_SEGMENT_FILES = {
    LOG_SUFFIX: Kind.SEGMENT,
    offset_index.SUFFIX: Kind.OFFSET_INDEX,
    time_index.SUFFIX: Kind.TIME_INDEX,
    txn_index.SUFFIX: Kind.TXN_INDEX,
    producer_snapshot.SUFFIX: Kind.PRODUCER_SNAPSHOT,
}
_SEGMENT_FILE = re.compile(_STEM + r"(\.[a-z]+)", re.ASCII)
_METADATA_SNAPSHOT = re.compile(_STEM + r"-[0-9]{10}\.checkpoint", re.ASCII)
_NAMED = {
    checkpoint.LEADER_EPOCHS: Kind.LEADER_EPOCHS,
    PARTITION_METADATA: Kind.PARTITION_METADATA,
    META_PROPERTIES: Kind.META_PROPERTIES,
    CLEAN_SHUTDOWN: Kind.CLEAN_SHUTDOWN,
    QUORUM_STATE: Kind.QUORUM_STATE,
    LOCK_FILE: Kind.LOCK,
    BOOTSTRAP_FILE: Kind.METADATA_SNAPSHOT,
} | dict.fromkeys(OFFSET_CHECKPOINTS, Kind.OFFSET_CHECKPOINT)
_LEFTOVERS = (ATOMIC_SUFFIX, CLEANED_SUFFIX, SWAP_SUFFIX, REPLACED_SUFFIX, DELETED_SUFFIX, ".part")


def kind_of_file(name: str) -> Kind:
    """What a file of this name (not path) is."""
    named = _NAMED.get(name)
    if named is not None:
        return named
    match = _SEGMENT_FILE.fullmatch(name)
    if match is not None and match[1] in _SEGMENT_FILES:
        return _SEGMENT_FILES[match[1]]
    if _METADATA_SNAPSHOT.fullmatch(name):
        return Kind.METADATA_SNAPSHOT
    if name.endswith(CUT_SUFFIX):
        return Kind.CUT
    return Kind.LEFTOVER if name.endswith(_LEFTOVERS) else Kind.UNKNOWN


def is_replacement(name: str) -> bool:
    """Whether a file of this name takes another's place once it is complete: left over only when nobody is at work."""
    return name.endswith(ATOMIC_SUFFIX)


def kind_of(fs: FileSystem, path: str) -> Kind:
    """What a file or directory that exists is. A directory is a partition by its name, or when it holds a segment."""
    if not fs.is_dir(path):
        return kind_of_file(posixpath.basename(path))
    name = posixpath.basename(path)
    if parse_partition_directory(name) is not None:
        return Kind.PARTITION
    if set_aside_suffix(name) is not None:
        return Kind.SET_ASIDE
    holds_segment = any(kind_of_file(each) is Kind.SEGMENT for each in fs.listdir(path))
    return Kind.PARTITION if holds_segment else Kind.DATA_DIRECTORY


def partition_of(directory: str) -> TopicPartition | None:
    """The partition whose directory that is, by its name; one that was set aside counts, too."""
    name = posixpath.basename(directory)
    if set_aside_suffix(name) is not None:
        name = name.rpartition(".")[0]
    return parse_partition_directory(name)

"""`--verify` of any path: a data directory, a partition's directory, or a single file."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from logd.dump.data_directory_facts import DataDirectoryFacts, directory_state, read_data_directory
from logd.dump.file_rows import file_rows
from logd.dump.finding import REMOVE_FILE, RESTORE_FILE
from logd.dump.kinds import Kind, kind_of, kind_of_file, partition_of
from logd.dump.segment_rows import BatchSelection
from logd.dump.verify_context import DirectoryState, VerifyOptions
from logd.dump.verify_directory import DirectoryCheck
from logd.dump.verify_partition import PartitionCheck
from logd.dump.verify_snapshot import verify_metadata_snapshot
from storage.errors import CorruptLog, MalformedFile
from storage.producer_snapshot import CorruptSnapshot
from storage.recovery.leftovers import base_offset_of
from storage.segment import LOG_SUFFIX

if TYPE_CHECKING:
    from logd.dump.finding import Report
    from storage.fs import FileSystem

_OF_A_SEGMENT = (Kind.SEGMENT, Kind.OFFSET_INDEX, Kind.TIME_INDEX, Kind.TXN_INDEX)


def verify(fs: FileSystem, path: str, report: Report, options: VerifyOptions) -> DirectoryState:
    """Check everything at `path`, which exists; return the state of the data directory around it.

    Raises: StorageFailure.
    """
    kind = kind_of(fs, path)
    if kind is Kind.DATA_DIRECTORY:
        facts = read_data_directory(fs, path)
        if facts.state is DirectoryState.UNKNOWN and not _holds_partitions(fs, path):
            # "Nothing wrong" would be said of a mistyped path.
            report.problem(
                path, "is neither a data directory nor a partition's", "name one of the broker's log.dirs"
            )
            return facts.state
        DirectoryCheck(fs, facts, report, options).run()
        return facts.state
    if fs.is_dir(path):
        facts = _facts_around(fs, path)
        context = facts.context_of(partition_of(path), options)
        PartitionCheck(fs, path, context, report).run()
        return facts.state
    return _verify_file(fs, path, kind, report, options)


def size_to_verify(fs: FileSystem, path: str) -> int:
    """Bytes of the log files at `path`, which is what a check takes its time for."""
    if not fs.is_dir(path):
        return fs.size(path) if kind_of_file(posixpath.basename(path)) in _OF_A_SEGMENT else 0
    total = 0
    for name in fs.listdir(path):
        inner = f"{path}/{name}"
        if fs.is_dir(inner):
            if kind_of(fs, inner) is Kind.PARTITION:
                total += size_to_verify(fs, inner)
        elif name.endswith(LOG_SUFFIX):
            total += fs.size(inner)
    return total


def _holds_partitions(fs: FileSystem, path: str) -> bool:
    inner = (f"{path}/{name}" for name in fs.listdir(path))
    return any(fs.is_dir(each) and kind_of(fs, each) is Kind.PARTITION for each in inner)


def _verify_file(
    fs: FileSystem, path: str, kind: Kind, report: Report, options: VerifyOptions
) -> DirectoryState:
    directory = posixpath.dirname(path) or "."
    base_offset = base_offset_of(posixpath.basename(path))
    if (
        kind in _OF_A_SEGMENT
        and base_offset is not None
        and fs.exists(f"{directory}/{base_offset:020d}{LOG_SUFFIX}")
    ):
        facts = _facts_around(fs, directory)
        context = facts.context_of(partition_of(directory), options)
        PartitionCheck(fs, directory, context, report).run(only=base_offset)
        return facts.state
    if kind is Kind.METADATA_SNAPSHOT:
        verify_metadata_snapshot(fs, path, report)
    else:
        report.files += 1
        try:
            for _ in file_rows(fs, path, kind, BatchSelection()):
                pass
        except (CorruptLog, MalformedFile) as error:
            report.problem(path, error.reason, RESTORE_FILE)
        except CorruptSnapshot as error:
            report.problem(path, str(error), REMOVE_FILE)
    return directory_state(fs, directory)


def _facts_around(fs: FileSystem, partition_directory: str) -> DataDirectoryFacts:
    parent = posixpath.dirname(posixpath.normpath(partition_directory)) or "."
    if directory_state(fs, parent) is DirectoryState.UNKNOWN:
        return DataDirectoryFacts(parent, DirectoryState.UNKNOWN)
    return read_data_directory(fs, parent)

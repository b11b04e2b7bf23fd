"""Which data directory holds the metadata log: the one in which it is found, wherever log.dirs names it.

Kafka takes metadata.log.dir, or else the first of log.dirs, and refuses a metadata log in another. A new log is made
only where nothing can be lost by it: without its metadata a broker would take every partition for a deleted one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from logd.errors import StartupError
from logd.metadata.files import METADATA_DIRECTORY
from storage.directories.directory_names import parse_partition_directory
from storage.errors import DirectoryRefused

if TYPE_CHECKING:
    from storage.directories.data_directory import DataDirectory
    from storage.fs import FileSystem


def metadata_home(fs: FileSystem, log_dirs: Sequence[str], configured: str | None) -> str:
    """Return the directory that holds the metadata log: the one `configured` (metadata.log.dir), else the data
    directory that has one already, else the first. Raises: StartupError, StorageFailure.
    """
    if configured is not None:
        return configured
    if len(log_dirs) == 1:
        return log_dirs[0]
    holding = [path for path in log_dirs if fs.is_dir(f"{path}/{METADATA_DIRECTORY}")]
    if len(holding) > 1:
        raise StartupError(
            f"the data directories {' and '.join(holding)} both hold a metadata log",
            "say with metadata.log.dir which one is in use",
        )
    return (holding or log_dirs)[0]


def check_metadata_home(fs: FileSystem, home: DataDirectory, directories: Sequence[DataDirectory]) -> None:
    """Refuse to begin a new metadata log in `home` where there was one. The directories are open.

    Raises: DirectoryRefused, StorageFailure.
    """
    if home.is_online and fs.is_dir(f"{home.path}/{METADATA_DIRECTORY}"):
        return
    for directory in directories:
        if not directory.is_online:
            raise DirectoryRefused(
                f"no working data directory holds the metadata log, and {directory.path} may: {directory.failure}"
            )
    for directory in directories:
        if _was_used(fs, directory):
            raise DirectoryRefused(
                f"data directory {directory.path} was in use, and there is no metadata log ({METADATA_DIRECTORY}) in "
                f"{home.path}: name the directory that holds it, or restore it from a backup"
            )


def _was_used(fs: FileSystem, directory: DataDirectory) -> bool:
    """Whether there are partitions, or signs that there were. A first start that a crash cut short leaves neither."""
    return (
        directory.was_clean
        or any(checkpoint.loaded for checkpoint in directory.checkpoints)
        or any(parse_partition_directory(name) is not None for name in fs.listdir(directory.path))
    )

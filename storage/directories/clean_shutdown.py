"""The marker that says a data directory was shut down cleanly (.kafka_cleanshutdown).

Layout: JSON, `{"version": 0, "brokerEpoch": N}`. It is the last file written when a broker stops, behind
everything it vouches for, and the first removed when one starts: while it is there, no log needs recovery.
Source: apache/kafka storage/…/log/CleanShutdownFileHandler.java.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from storage.checkpoint import read_ascii
from storage.errors import MalformedFile

if TYPE_CHECKING:
    from storage.fs import FileSystem

CLEAN_SHUTDOWN = ".kafka_cleanshutdown"
_MARKER = re.compile(r'\s*\{\s*"version"\s*:\s*0\s*,\s*"brokerEpoch"\s*:\s*(-?\d+)\s*\}\s*')


def write_clean_shutdown(fs: FileSystem, directory: str, broker_epoch: int) -> None:
    """Vouches for the directory; blocks until the marker is durable. Raises: StorageFailure."""
    text = f'{{"version":0,"brokerEpoch":{broker_epoch}}}'
    fs.write_atomic(posixpath.join(directory, CLEAN_SHUTDOWN), text.encode("ascii"))


def read_clean_shutdown(fs: FileSystem, directory: str) -> int | None:
    """The broker epoch in the marker, None when there is no marker. Raises: MalformedFile, StorageFailure."""
    path = posixpath.join(directory, CLEAN_SHUTDOWN)
    if not fs.exists(path):
        return None
    match = _MARKER.fullmatch(read_ascii(fs, path))
    if match is None:
        raise MalformedFile(path, 'it is not {"version":0,"brokerEpoch":N}')
    return int(match[1])


def take_clean_shutdown(fs: FileSystem, directory: str) -> bool:
    """Whether the directory was shut down cleanly; the marker is gone, durably, on return.

    Durably, because a marker that a power loss brings back would vouch for what was written since.
    Raises: StorageFailure.
    """
    path = posixpath.join(directory, CLEAN_SHUTDOWN)
    if not fs.exists(path):
        return False
    fs.remove(path)
    fs.sync_dir(directory)
    return True

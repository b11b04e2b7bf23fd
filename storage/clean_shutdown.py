"""The marker that says a data directory was shut down cleanly (.kafka_cleanshutdown).

Layout: JSON, `{"version": 0, "brokerEpoch": N}`. It is the last file written when a broker stops, behind
everything it vouches for, and the first removed when one starts: while it is there, no log needs recovery.
Source: apache/kafka storage/…/log/CleanShutdownFileHandler.java.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.fs import FileSystem

CLEAN_SHUTDOWN = ".kafka_cleanshutdown"


def write_clean_shutdown(fs: FileSystem, directory: str, broker_epoch: int) -> None:
    """Vouches for the directory; blocks until the marker is durable. Raises: StorageFailure."""
    text = f'{{"version":0,"brokerEpoch":{broker_epoch}}}'
    fs.write_atomic(posixpath.join(directory, CLEAN_SHUTDOWN), text.encode("ascii"))


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

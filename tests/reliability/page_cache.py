"""Files out of memory, and whether they are."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def evict(directory: Path) -> None:
    """Drop the pages of every file below `directory` from the page cache."""
    for path in directory.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)  # dirty pages stay
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def is_cold(path: Path) -> bool:
    """Whether the first page of a file is not in memory. False as well where the file system cannot tell."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False

"""The port through which storage touches files, and its three implementations: real, in memory, faulty.

Who touches files imports the port from here. An implementation is named only where one is made: at the edge, by a test.
"""

from storage.fs.port import (
    ATOMIC_SUFFIX,
    DiskSpace,
    File,
    FileSystem,
    Lock,
    OpenMode,
    has_content,
    write_beside,
)

__all__ = [
    "ATOMIC_SUFFIX",
    "DiskSpace",
    "File",
    "FileSystem",
    "Lock",
    "OpenMode",
    "has_content",
    "write_beside",
]

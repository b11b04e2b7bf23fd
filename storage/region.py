"""A stretch of a file that is to be sent without passing through Python, but for a small one.

The region holds its `File`: the descriptor stays open until the last region on it is gone, even when the
segment was closed, renamed or unlinked meanwhile. Bytes inside a region never change: logs are append-only,
and a truncation only touches what no reader was shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.errors import StorageFailure

if TYPE_CHECKING:
    from storage.fs import File

#: Up to some 20 KB a copy that is sent with what is around it costs less than a call of sendfile of its own.
COPIED_BYTES_MAX: Final = 16 * 1024


class FileRegion:
    """`size` bytes of `file` from `position`; `len()` is the size, so a codec counts it like bytes."""

    __slots__ = ("file", "position", "size")

    def __init__(self, file: File, position: int, size: int) -> None:
        self.file = file
        self.position = position
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"FileRegion({self.file.name!r}, position={self.position}, size={self.size})"

    def read(self) -> bytes:
        """The bytes themselves: for TLS, for files without a descriptor, and for tests. Short only at end
        of file.
        """
        return self.file.read_at(self.position, self.size)

    def copy(self) -> bytes | None:
        """The bytes themselves; None where a copy would wait for the disk, or fail: whoever sends the region meets
        that, too.
        """
        try:
            return self.file.read_resident(self.position, self.size)
        except StorageFailure:
            return None

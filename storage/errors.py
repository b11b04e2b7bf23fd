"""What storage raises, in its own vocabulary; `logd` maps it to the wire.

Expected refusals of an append (a bad batch, a stale sequence) are `protocol.errors.BrokerError`, not these.
Operating-system errors become `StorageFailure` in one place, `failure_from`, and nowhere else.
"""

import errno
import os


class StorageError(Exception):
    """Base of everything that storage raises on its own account."""


class StorageFailure(StorageError):
    """The operating system failed a file operation. Becomes KAFKA_STORAGE_ERROR.

    `path` is the file or directory concerned; its log directory is the one that contains it.
    `fatal` says that what the disk holds is no longer known (EIO, a failed fsync): the log directory must
    go offline and the operation must not be tried again. Where it is false (full disk, no descriptors)
    nothing was changed, the directory stays online, and the operation may be tried again later.
    """

    fatal = True

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


class NoSpace(StorageFailure):
    """The disk or a quota is full. What was half written has been taken back."""

    fatal = False


class TooManyOpenFiles(StorageFailure):
    """The process or the host is out of file descriptors."""

    fatal = False


class AccessDenied(StorageFailure):
    """The process may not do that to the file or directory."""


class CorruptLog(StorageError):
    """Bytes on disk are not what was written: never served. Becomes KAFKA_STORAGE_ERROR.

    `position` is the byte place in `path` of the batch or entry that failed, -1 where there is none.
    """

    def __init__(self, path: str, position: int, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if position < 0 else f"{path} at byte {position}: {reason}")
        self.path = path
        self.position = position
        self.reason = reason


class MalformedFile(StorageError):
    """A checkpoint or properties file cannot be understood; `reason` names the line."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is malformed: {reason}")
        self.path = path
        self.reason = reason


class OffsetOutOfRange(StorageError):
    """An offset outside [log_start_offset, upper bound] was asked for. Becomes OFFSET_OUT_OF_RANGE."""

    def __init__(self, offset: int, log_start_offset: int, log_end_offset: int) -> None:
        super().__init__(f"offset {offset} is outside [{log_start_offset}, {log_end_offset}]")
        self.offset = offset
        self.log_start_offset = log_start_offset
        self.log_end_offset = log_end_offset


class DirectoryRefused(StorageError):
    """A data directory cannot be used; the message is one line that says what to do."""


class DirectoryUnusable(DirectoryRefused):
    """This data directory alone does not work: where there are others, they may do without it."""


class DirectoryLocked(DirectoryRefused):
    """Another process holds the lock of a data directory."""


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_NO_ACCESS = frozenset({errno.EACCES, errno.EPERM})


def failure_from(error: OSError, path: str) -> StorageFailure:
    """The one table from an operating-system error on `path` to what storage raises."""
    message = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _NO_SPACE:
        return NoSpace(path, message)
    if error.errno in _NO_DESCRIPTORS:
        return TooManyOpenFiles(path, message)
    if error.errno in _NO_ACCESS:
        return AccessDenied(path, message)
    return StorageFailure(path, message)

"""Cutting off the tail of a log that recovery found damaged. What is cut off is kept in files beside the log.

Not here: whether it may be cut there (loader.py). The copy is durable before the log gets shorter, and later segments
go from the last to the first: a crash in between finds the same damage again, or no gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.fs import OpenMode

if TYPE_CHECKING:
    from protocol.types import Position
    from storage.fs import FileSystem
    from storage.recovery.report import RecoveryReport
    from storage.segment import Segment

CUT_SUFFIX = ".cut"
"""Ends the name of a file that keeps bytes which recovery took out of a log."""

_COPY_CHUNK = 1 << 20


def cut_tail(
    fs: FileSystem,
    directory: str,
    segments: list[Segment],
    index: int,
    position: Position,
    report: RecoveryReport,
) -> None:
    """Ends the log at `position` of segment number `index`; says in `report` how much was cut off, and where it is.

    Blocks. Raises: StorageFailure.
    """
    keep = index if position == 0 and index > 0 else index + 1
    if keep > index:
        segment = segments[index]
        report.cut_bytes += segment.file.size() - position
        report.cut_files.append(_keep_aside(fs, segment.path, position))
    for segment in reversed(segments[keep:]):
        kept_path = f"{segment.path}.0{CUT_SUFFIX}"
        report.cut_bytes += fs.size(segment.path)
        report.cut_files.append(kept_path)
        segment.close()
        fs.rename(segment.path, kept_path)
        for path in segment.paths[1:]:
            fs.remove(path)
    fs.sync_dir(directory)
    if keep > index:
        file = segments[index].file
        file.truncate(position)
        file.sync()  # or the next crash might mix what was cut off with what is appended in its place
    del segments[keep:]


def _keep_aside(fs: FileSystem, path: str, position: Position) -> str:
    """Copies the file from `position` on to a file beside it, durably; returns its path."""
    source = fs.open(path, OpenMode.READ)
    kept_path = f"{path}.{position}{CUT_SUFFIX}"
    kept = fs.open(kept_path, OpenMode.CREATE)
    while data := source.read_at(position, _COPY_CHUNK):
        kept.append(data)
        position += len(data)
    kept.sync()
    return kept_path

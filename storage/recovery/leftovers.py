"""What an interrupted deletion, cleaning or replacement left in a partition's directory, settled on opening.

- `.deleted`: left the log already; the loader looks whether all of a deletion happened, then removes them.
- `.tmp`: an atomic replacement that never happened; removed.
- `.cleaned`: new segments still being written; removed, and with them each `.swap` at or above the lowest of
  them, which belongs to the same unfinished split.
- `.replaced`: a segment whose place a cleaned one has taken; removed.
- `.swap`: complete new segments that were to take the place of old ones: the old ones whose base offsets lie in the
  range that the new ones cover are removed, the new ones renamed.
- an index without a log file: removed.
Source: apache/kafka storage/…/log/LogLoader.java.
"""

from __future__ import annotations

from protocol.types import Offset
from storage.batch_scan import iter_spans
from storage.fs import ATOMIC_SUFFIX, FileSystem, OpenMode
from storage.segment import DELETED_SUFFIX, LOG_SUFFIX, SUFFIXES

CLEANED_SUFFIX = ".cleaned"
SWAP_SUFFIX = ".swap"
REPLACED_SUFFIX = ".replaced"
"""Not `.deleted`, which after a crash says that all older segments are to go as well (loader.py)."""

_STEM_LENGTH = 20


def base_offset_of(name: str) -> Offset | None:
    """The offset that a file's name begins with; None for a file that belongs to no segment."""
    stem, dot, _ = name.partition(".")
    return int(stem) if dot and len(stem) == _STEM_LENGTH and stem.isascii() and stem.isdigit() else None


def settle(fs: FileSystem, directory: str, names: list[str]) -> list[str]:
    """Finishes or undoes what was interrupted, deletion aside; returns the names of live files.

    Raises: CorruptLog, StorageFailure. May be interrupted and run again at any point.
    """
    kept: list[str] = []
    cleaned: list[str] = []
    swaps: list[str] = []
    for name in names:
        if name.endswith(DELETED_SUFFIX):
            continue
        if name.endswith((ATOMIC_SUFFIX, REPLACED_SUFFIX)):
            fs.remove(f"{directory}/{name}")
        elif name.endswith(CLEANED_SUFFIX):
            cleaned.append(name)
        elif name.endswith(SWAP_SUFFIX):
            swaps.append(name)
        else:
            kept.append(name)
    if cleaned or swaps:
        kept = _settle_cleaning(fs, directory, kept, cleaned, swaps)
    return _without_orphans(fs, directory, kept)


def _settle_cleaning(
    fs: FileSystem, directory: str, kept: list[str], cleaned: list[str], swaps: list[str]
) -> list[str]:
    unfinished = min(
        (offset for name in cleaned if (offset := base_offset_of(name)) is not None), default=None
    )
    for name in list(swaps):
        offset = base_offset_of(name)
        if offset is None or (unfinished is not None and offset >= unfinished):
            fs.remove(f"{directory}/{name}")
            swaps.remove(name)
    if cleaned:
        fs.sync_dir(directory)  # without a .cleaned beside it, a .swap that came back would pass for complete
    for name in cleaned:
        fs.remove(f"{directory}/{name}")
    covered = _covered_offsets(fs, directory, swaps)
    for name in list(kept):
        offset = base_offset_of(name)
        if offset is not None and name.endswith(SUFFIXES) and offset in covered:
            fs.remove(f"{directory}/{name}")
            kept.remove(name)
    # The log files last: while one still is a .swap, all of this will be done again after a crash.
    logs = [name for name in swaps if name.endswith(LOG_SUFFIX + SWAP_SUFFIX)]
    for name in swaps:
        if name not in logs:
            _make_live(fs, directory, name, kept)
    if logs:
        fs.sync_dir(directory)
    for name in logs:
        _make_live(fs, directory, name, kept)
    return kept


def _make_live(fs: FileSystem, directory: str, name: str, kept: list[str]) -> None:
    target = name.removesuffix(SWAP_SUFFIX)
    fs.rename(f"{directory}/{name}", f"{directory}/{target}")
    if target not in kept:
        kept.append(target)


def _covered_offsets(fs: FileSystem, directory: str, swaps: list[str]) -> range:
    """The offsets that the new segments hold, from the first base offset to behind the last record."""
    start = stop = 0
    for name in sorted(swaps):
        base_offset = base_offset_of(name)
        if base_offset is None or not name.endswith(LOG_SUFFIX + SWAP_SUFFIX):
            continue
        file = fs.open(f"{directory}/{name}", OpenMode.READ)
        if stop == 0:
            start = base_offset
        stop = max(stop, base_offset + 1)  # an empty one, too, takes the place of what had its name
        for span in iter_spans(file, 0, file.size()):
            stop = max(stop, span.last_offset + 1)
    return range(start, stop)


def _without_orphans(fs: FileSystem, directory: str, names: list[str]) -> list[str]:
    present = set(names)
    kept = []
    for name in names:
        stem, _, suffix = name.partition(".")
        is_index = base_offset_of(name) is not None and "." + suffix in SUFFIXES
        if is_index and stem + LOG_SUFFIX not in present:
            fs.remove(f"{directory}/{name}")
        else:
            kept.append(name)
    return kept

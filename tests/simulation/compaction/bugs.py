"""Bugs that compaction could have, to be planted one at a time: the model, or a crash, must find each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import protocol.record_keys
import storage.cleaning.batch_retention
import storage.cleaning.marking
import storage.cleaning.swap
import storage.recovery.leftovers
import storage.recovery.loader
from protocol.records import BatchHeader
from storage.cleaning.batch_retention import BatchRetention
from storage.cleaning.cleaned_segment import CleanedSegment
from storage.cleaning.cleaner import Cleaner
from storage.cleaning.swap import SegmentSwap
from storage.cleaning.transactions import CleanedTransactions
from storage.offset_map import KeyQuestions, OffsetMap


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Compaction has the bug inside the block."""
    target, attribute, replacement = BUGS[name]
    with patch.object(target, attribute, replacement):
        yield


# What goes and what stays.


class _BlindTransactions(CleanedTransactions):
    def on_data(self, header: BatchHeader) -> bool:
        super().on_data(header)
        return False


def _settle_on_the_first(offset_map: OffsetMap) -> None:
    offset_map._entries.take_in()
    for partition, numbers in enumerate(offset_map._entries.numbers):
        hashes = offset_map._entries.hashes[partition]
        pieces = [hashes[at : at + 16] for at in range(0, len(hashes), 16)]
        offset_map._entries.hashes[partition] = bytearray(b"".join(reversed(pieces)))
        offset_map._entries.numbers[partition] = array("I", reversed(numbers))
    _settle(offset_map)


def _mark_beyond_the_map(*args: Any) -> Any:
    marked = _mark(*args)
    return marked._replace(end=args[0].first_uncleanable_offset)


def _keep_and_close_the_gap(header: BatchHeader, body: bytes, keep: Any) -> Any:
    header, body = _keep(header, body, keep)
    return header._replace(last_offset_delta=max(place for place, stays in enumerate(keep) if stays)), body


def _horizon_without_deltas(header: BatchHeader, body: bytes, horizon: int) -> Any:
    return _set_horizon(header, body, horizon)[0], body


def _init_with_horizon_now(retention: BatchRetention, *args: Any) -> None:
    _retention_init(retention, *args)
    retention._horizon = retention._now_ms


# The order of durability, and the way back.


class _Unsynced:
    """A file system that says that names are synced."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fs, name)

    def sync_dir(self, path: str) -> None:
        pass


def _put_aside_without_sync(swap: SegmentSwap) -> None:
    fs, swap._fs = swap._fs, _Unsynced(swap._fs)
    _put_aside(swap)
    swap._fs = fs


def _steps_without_the_first_wait(swap: SegmentSwap) -> Any:
    steps = _steps(swap)
    next(steps)
    yield from steps


def _settle_without_syncs(fs: Any, directory: str, names: list[str]) -> list[str]:
    return _settle_leftovers(_Unsynced(fs), directory, names)


_settle = OffsetMap.settle
_mark = storage.cleaning.marking.mark_superseded
_keep = protocol.record_keys.keep_records
_set_horizon = protocol.record_keys.set_delete_horizon
_retention_init = BatchRetention.__init__
_put_aside = SegmentSwap._put_aside
_steps = SegmentSwap._steps
_settle_leftovers = storage.recovery.leftovers.settle
_retention = storage.cleaning.batch_retention

MODEL_BUGS: dict[str, tuple[Any, str, Callable[..., Any] | property]] = {
    "aborted_records_stay": (CleanedTransactions, "on_data", lambda *_: False),
    "aborted_records_supersede": (storage.cleaning.marking, "CleanedTransactions", _BlindTransactions),
    "clean_records_not_looked_up": (KeyQuestions, "answer", lambda _: None),
    "first_record_wins": (OffsetMap, "settle", _settle_on_the_first),
    "last_offset_lost": (_retention, "keep_records", _keep_and_close_the_gap),
    "last_batch_of_producer_lost": (BatchRetention, "_is_last_of_producer", lambda *_: False),
    "map_ends_too_late": (storage.cleaning.cleaner, "mark_superseded", _mark_beyond_the_map),
    "timestamps_move_with_horizon": (_retention, "set_delete_horizon", _horizon_without_deltas),
    "tombstones_go_at_once": (BatchRetention, "__init__", _init_with_horizon_now),
    "tombstones_lost_count": (OffsetMap, "skip", lambda *_: None),
    "unfinished_segment_taken": (
        Cleaner,
        "_begin_late",
        lambda cleaner, segment, _: cleaner._begin_segment(segment),
    ),
}
CRASH_BUGS: dict[str, tuple[Any, str, Any]] = {
    "cleaned_not_synced": (CleanedSegment, "sync", lambda _: None),
    "put_aside_not_synced": (SegmentSwap, "_put_aside", _put_aside_without_sync),
    "replaced_counts_as_deleted": (storage.cleaning.swap, "REPLACED_SUFFIX", ".deleted"),
    "settled_without_syncs": (storage.recovery.loader, "settle", _settle_without_syncs),
    "swap_not_synced": (SegmentSwap, "_steps", _steps_without_the_first_wait),
}
BUGS = MODEL_BUGS | CRASH_BUGS

"""Bugs that the partition's side of transactions could have, to be planted one at a time: the runs must find each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from protocol.types import Offset, ProducerEpoch, ProducerId
from replication.partition import Partition
from storage.log import Log
from storage.producer import ProducerState
from storage.producer_snapshot import SnapshotEntry
from storage.producer_state import ProducerStateManager
from storage.txn_index import AbortedTxn, TxnIndex
from storage.verification import Verification, Verifications


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """The partition has the bug inside the block; None for no bug."""
    if name is None:
        yield
        return
    target, attribute, replacement = BUGS[name]
    with patch.object(target, attribute, replacement):
        yield


def _nothing(*_: Any, **__: Any) -> None:
    pass


# What readers of committed records are shown.


def _not_above_the_unstable(partition: Partition[Log]) -> Offset:
    unstable = partition.log.producers.first_unstable_offset
    return partition.high_watermark if unstable is None else min(unstable, partition.high_watermark)


def _release_with_the_marker(
    manager: ProducerStateManager, *arguments: Any, **named: Any
) -> AbortedTxn | None:
    aborted = _update_marker(manager, *arguments, **named)
    manager.on_high_watermark(1 << 62)
    return aborted


def _look_in_the_first_segment_only(log: Log, start: Offset, end: Offset) -> list[tuple[ProducerId, Offset]]:
    index = log._segments[log._segments.number_at(start)].txn_index
    return [(txn.producer_id, txn.first_offset) for txn in index.lookup(start, end)[0]]


def _only_what_begins_there(index: TxnIndex, start: Offset, end: Offset) -> tuple[list[AbortedTxn], bool]:
    found, is_complete = _lookup(index, start, end)
    return [txn for txn in found if txn.first_offset >= start], is_complete


def _stable_behind_the_marker(
    manager: ProducerStateManager, *arguments: Any, **named: Any
) -> AbortedTxn | None:
    aborted = _update_marker(manager, *arguments, **named)
    return None if aborted is None else aborted._replace(last_stable_offset=aborted.last_offset + 1)


# What a restart or a truncation finds.


def _snapshot_without_transactions(producer: ProducerState, producer_id: ProducerId) -> SnapshotEntry:
    return _to_snapshot(producer, producer_id)._replace(txn_first_offset=-1)


def _restore_producers_only(manager: ProducerStateManager, entries: Any) -> None:
    for entry in entries:
        manager.producers[entry.producer_id] = ProducerState.from_snapshot(entry)


# What may be written.


def _confirm_whoever_asks(
    verifications: Verifications, producer_id: ProducerId, epoch: ProducerEpoch, _: Verification
) -> bool:
    current = verifications.get(producer_id)
    if current is not None:
        current.confirmed_epoch = epoch
    return True


def _every_marker_counts(verifications: Verifications, producer_id: ProducerId, _: ProducerEpoch) -> None:
    verifications.note_batch(producer_id, -1)


def _as_in_version_1(
    manager: ProducerStateManager,
    producer_id: ProducerId,
    epoch: ProducerEpoch,
    coordinator_epoch: int,
    _: int,
) -> None:
    _check_marker(manager, producer_id, epoch, coordinator_epoch, 0)


def _strict_about_repeated_markers(
    manager: ProducerStateManager, producer_id: ProducerId, epoch: ProducerEpoch, *others: int
) -> None:
    producer = manager.producers.get(producer_id)
    is_repeated = producer is not None and others[1] == 2 and epoch == producer.epoch
    _check_marker(manager, producer_id, epoch - 1 if is_repeated else epoch, *others)


_update_marker = ProducerStateManager.update_marker
_lookup = TxnIndex.lookup
_to_snapshot = ProducerState.to_snapshot
_check_marker = ProducerStateManager.check_marker

BUGS: dict[str, tuple[Any, str, Any]] = {
    "lso_ahead": (Partition, "last_stable_offset", property(lambda partition: partition.high_watermark)),
    "lso_moves_with_the_marker": (ProducerStateManager, "update_marker", _release_with_the_marker),
    "lso_never_released": (ProducerStateManager, "on_high_watermark", _nothing),
    "lso_below_the_log_start": (Partition, "last_stable_offset", property(_not_above_the_unstable)),
    "aborted_in_the_first_segment_only": (Log, "aborted_transactions", _look_in_the_first_segment_only),
    "aborted_only_where_they_begin": (TxnIndex, "lookup", _only_what_begins_there),
    "index_promises_too_much": (ProducerStateManager, "update_marker", _stable_behind_the_marker),
    "index_not_truncated": (TxnIndex, "truncate_to", _nothing),
    "snapshot_without_transactions": (ProducerState, "to_snapshot", _snapshot_without_transactions),
    "open_transactions_not_restored": (ProducerStateManager, "restore", _restore_producers_only),
    "marker_leaves_the_question": (Verifications, "note_marker", _nothing),
    "late_word_counts": (Verifications, "confirm", _confirm_whoever_asks),
    "nobodys_word_needed": (ProducerStateManager, "_check_first_of_transaction", _nothing),
    "next_transaction_thrown_out": (Verifications, "note_marker", _every_marker_counts),
    "late_marker_accepted": (ProducerStateManager, "check_marker", _as_in_version_1),
    "repeated_marker_refused": (ProducerStateManager, "check_marker", _strict_about_repeated_markers),
}

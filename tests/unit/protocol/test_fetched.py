"""Goal: a consumer gets committed records only, and knows where to read on. Method: stretches built batch by batch."""

from __future__ import annotations

import pytest

from protocol.control_records import end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.fetched import readable_batches
from protocol.record_builder import build_batch
from protocol.records import HEADER, Record, iter_records, read_header


def _batch(offset: int, *values: bytes, producer: int = -1, transactional: bool = False) -> bytearray:
    records = [Record(offset + index, 0, None, value) for index, value in enumerate(values)]
    return build_batch(
        records, base_offset=offset, producer_id=producer, producer_epoch=0, transactional=transactional
    )


def _marker(offset: int, producer: int, *, committed: bool) -> bytearray:
    batch = end_txn_marker(
        committed=committed, producer_id=producer, producer_epoch=0, coordinator_epoch=0, timestamp_ms=0
    )
    HEADER.pack_into(batch, 0, *read_header(batch)._replace(base_offset=offset))
    return batch


def _values(
    records: bytes, offset: int = 0, aborted: tuple[tuple[int, int], ...] = ()
) -> tuple[list[bytes], int]:
    fetched = readable_batches(records, offset, aborted)
    values = [record.value or b"" for each in fetched.batches for record in iter_records(each.batch)]
    return values, fetched.next_offset


def test_whole_batches_and_the_offset_after_them() -> None:
    records = bytes(_batch(0, b"a", b"b") + _batch(2, b"c"))
    assert _values(records) == ([b"a", b"b", b"c"], 3)
    assert _values(records, 2) == ([b"c"], 3), "a batch that ends before the offset"
    assert _values(records, 1) == ([b"a", b"b", b"c"], 3), (
        "whole batches: the caller drops records before its offset"
    )


@pytest.mark.parametrize("missing", [1, 12, 60, 68])
def test_a_batch_that_is_cut_is_left_for_the_next_fetch(missing: int) -> None:
    second = _batch(2, b"c")
    records = bytes(_batch(0, b"a", b"b") + second[: len(second) - missing])
    assert _values(records) == ([b"a", b"b"], 2)


def test_nothing_moves_nothing() -> None:
    assert _values(b"", 5) == ([], 5)
    assert readable_batches(None, 5) == ([], 5)


def test_markers_are_skipped_and_counted() -> None:
    records = bytes(_batch(0, b"a", producer=4, transactional=True) + _marker(1, 4, committed=True))
    assert _values(records) == ([b"a"], 2)


def test_aborted_records_are_dropped_until_their_marker() -> None:
    records = bytes(
        _batch(0, b"a", producer=4, transactional=True)
        + _batch(1, b"of another", producer=5, transactional=True)
        + _batch(2, b"no transaction")
        + _marker(3, 4, committed=False)
        + _batch(4, b"next of 4", producer=4, transactional=True)
        + _marker(5, 4, committed=True)
        + _marker(6, 5, committed=True)
    )
    kept = [b"of another", b"no transaction", b"next of 4"]
    assert _values(records, 0, ((4, 0),)) == (kept, 7)
    assert _values(records, 0, ())[0] == [b"a", *kept], "read_uncommitted names none"


def test_a_transaction_that_began_before_the_stretch() -> None:
    records = bytes(_batch(10, b"a", producer=4, transactional=True) + _marker(11, 4, committed=False))
    assert _values(records, 10, ((4, 2),)) == ([], 12)


def test_two_aborted_transactions_of_one_producer() -> None:
    records = bytes(
        _batch(0, b"a", producer=4, transactional=True)
        + _marker(1, 4, committed=False)
        + _batch(2, b"b", producer=4, transactional=True)
        + _marker(3, 4, committed=True)
        + _batch(4, b"c", producer=4, transactional=True)
        + _marker(5, 4, committed=False)
    )
    assert _values(records, 0, ((4, 4), (4, 0))) == ([b"b"], 6)


def test_a_wrong_checksum_is_an_error() -> None:
    batch = _batch(0, b"abc")
    batch[-2] ^= 1
    with pytest.raises(BrokerError) as caught:
        readable_batches(bytes(batch), 0)
    assert caught.value.code == ErrorCode.CORRUPT_MESSAGE

"""Goal: a read_committed reader is told of every aborted transaction in its range, from Kafka's own file."""

import struct

import pytest

from storage.errors import CorruptLog
from storage.fs import OpenMode
from storage.fs.memory import MemoryFileSystem
from storage.txn_index import AbortedTxn, TxnIndex

PATH = "/00000000000000000100.txnindex"

# Producer 1 aborts at 119, producer 2 (begun before this segment) at 129 with 3 still open at 125, and so on.
TXNS = [
    AbortedTxn(1, 110, 119, 50),
    AbortedTxn(2, 50, 129, 125),
    AbortedTxn(3, 125, 140, 141),
    AbortedTxn(4, 150, 160, 161),
]


def index_with(*txns: AbortedTxn) -> tuple[MemoryFileSystem, TxnIndex]:
    fs = MemoryFileSystem()
    index = TxnIndex(fs, PATH, 100)
    for txn in txns:
        index.append(txn)
    return fs, index


def test_there_is_no_file_until_a_transaction_aborts() -> None:
    fs, index = index_with()
    assert index.lookup(0, 1_000) == ([], False)
    index.truncate_to(0)
    index.reset()
    index.sync()
    index.close()
    assert not fs.exists(PATH)


def test_the_layout_is_kafkas() -> None:
    fs, index = index_with(*TXNS[:2])
    assert fs.read_file(PATH) == struct.pack(">hqqqq", 0, 1, 110, 119, 50) + struct.pack(
        ">hqqqq", 0, 2, 50, 129, 125
    )
    index.sync()
    index.close()
    reopened = TxnIndex(fs, PATH, 100)
    reopened.sanity_check()
    assert reopened.entries == TXNS[:2]
    reopened.append(TXNS[2])
    assert TxnIndex(fs, PATH, 100).entries == TXNS[:3]


@pytest.mark.parametrize(
    ("start", "end", "found", "complete"),
    [
        (100, 105, [1], True),  # transaction 2 covers it; 125 is stable then, which ends the search
        (100, 111, [0, 1], True),
        (119, 120, [0, 1], True),
        (120, 125, [1], True),
        (120, 126, [1, 2], True),
        (130, 150, [2], True),  # stable up to 161 when the last was written
        (141, 150, [], True),
        (141, 161, [3], True),  # all below 161 is decided
        (141, 162, [3], False),  # a later segment may hold more
        (161, 200, [], False),
    ],
)
def test_a_range_finds_what_overlaps_it(start: int, end: int, found: list[int], complete: bool) -> None:
    _, index = index_with(*TXNS)
    assert index.lookup(start, end) == ([TXNS[i] for i in found], complete)


@pytest.mark.parametrize(
    ("offset", "kept"), [(100, 0), (119, 0), (120, 1), (129, 1), (141, 3), (160, 3), (161, 4), (999, 4)]
)
def test_truncation_drops_markers_at_or_above(offset: int, kept: int) -> None:
    fs, index = index_with(*TXNS)
    index.truncate_to(offset)
    assert index.entries == TXNS[:kept]
    assert TxnIndex(fs, PATH, 100).entries == TXNS[:kept]
    index.append(AbortedTxn(9, 1_000, 1_001, 1_002))
    assert len(TxnIndex(fs, PATH, 100).entries) == kept + 1


def test_truncation_of_an_index_opened_from_disk() -> None:
    fs, _ = index_with(*TXNS)
    TxnIndex(fs, PATH, 100).truncate_to(130)
    assert TxnIndex(fs, PATH, 100).entries == TXNS[:2]


def test_reset_empties_even_what_cannot_be_read() -> None:
    fs = MemoryFileSystem()
    fs.open(PATH, OpenMode.CREATE).append(b"rubbish")
    index = TxnIndex(fs, PATH, 100)
    with pytest.raises(CorruptLog):
        index.sanity_check()
    index.reset()
    assert index.entries == []
    index.append(TXNS[0])
    assert TxnIndex(fs, PATH, 100).entries == TXNS[:1]


@pytest.mark.parametrize(
    "content",
    [
        struct.pack(">hqqqq", 1, 1, 110, 119, 120),  # version
        struct.pack(">hqqqq", 0, 1, 110, 119, 120)[:-1],  # torn
        struct.pack(">hqqqq", 0, 1, 90, 99, 100),  # marker below the segment
        struct.pack(">hqqqq", 0, 1, 119, 119, 120),  # no record
        struct.pack(">hqqqq", 0, 1, -1, 119, 120),
        struct.pack(">hqqqq", 0, 1, 110, 119, 120) * 2,  # markers do not ascend
    ],
)
def test_what_cannot_be_the_index_of_the_segment_is_refused(content: bytes) -> None:
    fs = MemoryFileSystem()
    fs.open(PATH, OpenMode.CREATE).append(content)
    with pytest.raises(CorruptLog):
        TxnIndex(fs, PATH, 100).sanity_check()


def test_markers_are_appended_in_order() -> None:
    _, index = index_with(TXNS[1])
    with pytest.raises(AssertionError):
        index.append(TXNS[0])

"""Goal: for any history of transactions, over any number of segments, a range finds every abort that concerns it."""

from hypothesis import given
from hypothesis import strategies as st

from storage.fs.memory import MemoryFileSystem
from storage.producer_state import ProducerStateManager
from storage.txn_index import AbortedTxn, TxnIndex

WRITE, COMMIT, ABORT, ROLL = range(4)
STEPS = st.lists(
    st.tuples(st.sampled_from([WRITE, WRITE, COMMIT, ABORT, ABORT, ROLL]), st.integers(1, 4)), max_size=40
)


def indexes_of(steps: list[tuple[int, int]]) -> tuple[list[TxnIndex], list[AbortedTxn], int]:
    """The index of each segment, all aborted transactions, and the log end offset."""
    fs = MemoryFileSystem()
    fs.makedirs("/t-0")
    producers = ProducerStateManager(fs, "/t-0")
    indexes = [TxnIndex(fs, "/t-0/0.txnindex", 0)]
    aborted: list[AbortedTxn] = []
    end = 0
    for kind, producer in steps:
        if kind == WRITE:
            producers.update(producer, 0, 0, 0, end, end, 0, True)
            end += 1
        elif kind == ROLL:
            indexes.append(TxnIndex(fs, f"/t-0/{len(indexes)}.txnindex", end))
        else:
            txn = producers.update_marker(producer, 0, 0, end, 0, committed=kind == COMMIT)
            end += 1
            if txn is not None:
                indexes[-1].append(txn)
                aborted.append(txn)
    return indexes, aborted, end


@given(STEPS)
def test_a_search_that_stops_when_told_misses_nothing(steps: list[tuple[int, int]]) -> None:
    indexes, aborted, end = indexes_of(steps)
    for index in indexes:
        index.sanity_check()
    for start in range(end + 1):
        for stop in range(start + 1, end + 2):
            found: list[AbortedTxn] = []
            for index in indexes:
                some, complete = index.lookup(start, stop)
                found += some
                if complete:
                    break
            assert found == [txn for txn in aborted if txn.last_offset >= start and txn.first_offset < stop]


@given(STEPS, st.integers(0, 45))
def test_truncation_keeps_exactly_the_markers_below(steps: list[tuple[int, int]], offset: int) -> None:
    indexes, aborted, _ = indexes_of([step for step in steps if step[0] != ROLL])
    indexes[0].truncate_to(offset)
    assert indexes[0].entries == [txn for txn in aborted if txn.last_offset < offset]

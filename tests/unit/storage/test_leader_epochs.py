"""Goal: epoch queries answer as Kafka's leader does, after any assignment and truncation."""

import pytest

from storage.leader_epochs import UNDEFINED, LeaderEpochCache


def cache(*entries: tuple[int, int]) -> LeaderEpochCache:
    return LeaderEpochCache(entries)


def test_an_empty_cache_knows_nothing() -> None:
    empty = cache()
    assert empty.latest == -1
    assert empty.end_offset_for(0, 10) == UNDEFINED
    assert empty.end_offset_for(-1, 10) == UNDEFINED
    assert empty.epoch_at(0) == -1
    assert empty.entries == []


@pytest.mark.parametrize(
    ("epoch", "answer"),
    [
        (-1, UNDEFINED),
        (0, (0, 10)),  # older than all known: where the known begins
        (2, (2, 20)),
        (3, (2, 20)),  # never led here: the one before it
        (5, (5, 30)),
        (7, (7, 44)),  # the latest goes on to the log end
        (8, UNDEFINED),
    ],
)
def test_the_end_of_an_epoch_is_the_start_of_the_next(epoch: int, answer: tuple[int, int]) -> None:
    assert cache((2, 10), (5, 20), (7, 30)).end_offset_for(epoch, 44) == answer


def test_an_epoch_is_assigned_once() -> None:
    epochs = cache((2, 10))
    epochs.assign(2, 15)
    assert epochs.entries == [(2, 10)]
    assert epochs.take_unsaved() is None


def test_an_assignment_drops_what_contradicts_it() -> None:
    epochs = cache((2, 10), (5, 20), (7, 30))
    epochs.assign(8, 20)
    assert epochs.entries == [(2, 10), (8, 20)]
    epochs.assign(4, 60)
    assert epochs.entries == [(2, 10), (4, 60)]
    epochs.assign(4, 50)
    assert epochs.entries == [(2, 10), (4, 50)]
    assert epochs.latest == 4


def test_an_epoch_without_records_gives_way_to_the_next() -> None:
    epochs = cache((0, 0))
    epochs.assign(1, 10)
    epochs.assign(2, 10)
    assert epochs.entries == [(0, 0), (2, 10)]


@pytest.mark.parametrize(
    ("offset", "epoch"), [(0, -1), (9, -1), (10, 2), (19, 2), (20, 5), (29, 5), (30, 7), (99, 7)]
)
def test_the_epoch_at_an_offset(offset: int, epoch: int) -> None:
    assert cache((2, 10), (5, 20), (7, 30)).epoch_at(offset) == epoch


@pytest.mark.parametrize(
    ("end", "kept"), [(9, 0), (10, 0), (11, 1), (20, 1), (21, 2), (30, 2), (31, 3), (99, 3)]
)
def test_truncating_from_the_end_drops_epochs_that_begin_there_or_above(end: int, kept: int) -> None:
    entries = [(2, 10), (5, 20), (7, 30)]
    epochs = cache(*entries)
    epochs.truncate_from_end(end)
    assert epochs.entries == entries[:kept]
    assert epochs.latest == (entries[kept - 1][0] if kept else -1)
    assert (epochs.take_unsaved() is not None) == (kept < 3)


@pytest.mark.parametrize(
    ("start", "entries"),
    [
        (9, [(2, 10), (5, 20), (7, 30)]),
        (10, [(2, 10), (5, 20), (7, 30)]),
        (11, [(2, 11), (5, 20), (7, 30)]),
        (20, [(5, 20), (7, 30)]),
        (29, [(5, 29), (7, 30)]),
        (99, [(7, 99)]),
    ],
)
def test_truncating_from_the_start_moves_the_epoch_that_holds_it(
    start: int, entries: list[tuple[int, int]]
) -> None:
    epochs = cache((2, 10), (5, 20), (7, 30))
    epochs.truncate_from_start(start)
    assert epochs.entries == entries
    assert epochs.latest == 7
    assert epochs.take_unsaved() == (entries if start > 10 else None)


def test_changes_are_handed_out_once() -> None:
    epochs = cache((0, 0))
    assert epochs.take_unsaved() is None
    epochs.assign(1, 5)
    assert epochs.take_unsaved() == [(0, 0), (1, 5)]
    assert epochs.take_unsaved() is None
    epochs.clear()
    assert epochs.take_unsaved() == []
    assert epochs.latest == -1

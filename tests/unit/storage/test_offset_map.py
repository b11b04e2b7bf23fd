"""The offset map marks what a dictionary would, in whatever pieces it is given, and within its memory."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from storage.offset_map import ENTRY_BYTES, KEPT, SUPERSEDED, TOMBSTONE, OffsetMap

keys = st.lists(st.one_of(st.none(), st.sampled_from([b"", b"a", b"b", b"c" * 40])), max_size=12)


def expected(records: list[tuple[bytes | None, bool]]) -> list[int]:
    newest = {key: number for number, (key, _) in enumerate(records)}
    return [
        SUPERSEDED if key is None or newest[key] != number else TOMBSTONE if is_tombstone else KEPT
        for number, (key, is_tombstone) in enumerate(records)
    ]


@given(st.lists(st.tuples(keys, st.booleans(), st.booleans()), max_size=6))
def test_marks_are_those_of_a_dictionary(batches: list[tuple[list[bytes | None], bool, bool]]) -> None:
    offset_map = OffsetMap(1 << 20, 0.9)
    records = []
    for batch, are_tombstones, settles in batches:
        offset_map.add(batch, list(range(len(batch))) if are_tombstones else [])
        records += [(key, are_tombstones) for key in batch]
        if settles:
            offset_map.settle()
    offset_map.settle()
    assert list(offset_map.marks) == expected(records)
    assert len(offset_map) == len({key for key, _ in records} - {None})


@given(keys, keys, st.integers(0, 200))
def test_questions_are_answered_as_by_a_set(
    known: list[bytes | None], asked: list[bytes | None], memory: int
) -> None:
    offset_map = OffsetMap(memory, 0.9)
    offset_map.add(known, [])
    offset_map.settle()
    questions = offset_map.questions()
    for key in asked:
        questions.add([key], [0])
    questions.answer()
    assert list(questions.marks) == [
        SUPERSEDED if key is None or key in known else TOMBSTONE for key in asked
    ]


def test_records_of_an_aborted_transaction_supersede_nothing() -> None:
    offset_map = OffsetMap(1 << 20, 0.9)
    offset_map.add([b"a"], [])
    offset_map.skip(3)
    offset_map.add([b"b"], [])
    offset_map.settle()
    assert list(offset_map.marks) == [KEPT, SUPERSEDED, SUPERSEDED, SUPERSEDED, KEPT]


def test_a_full_map_says_so_and_duplicates_make_room() -> None:
    room = 100
    offset_map = OffsetMap(room * (ENTRY_BYTES + 1), 0.9)
    offset_map.add([b"%d" % n for n in range(80)], [])
    assert not offset_map.has_room(30)
    assert offset_map.has_room(5)

    same = OffsetMap(room * (ENTRY_BYTES + 1), 0.9)
    same.add([b"same"] * 80, [])
    assert same.has_room(30)
    assert len(same) == 1


def test_an_empty_map_takes_a_batch_of_any_size() -> None:
    assert OffsetMap(0, 0.9).has_room(1000)


def test_records_of_aborted_transactions_take_room_too() -> None:
    offset_map = OffsetMap(1, 0.9)
    offset_map.skip(10)
    assert not offset_map.has_room(10)


def test_keys_far_apart_in_a_large_map() -> None:
    choose = random.Random(5)
    names = [choose.randbytes(choose.randint(0, 30)) for _ in range(3000)]
    offset_map = OffsetMap(1 << 20, 0.9)
    records: list[tuple[bytes | None, bool]] = []
    for _ in range(40):
        batch: list[bytes | None] = [choose.choice(names) for _ in range(250)]
        assert offset_map.has_room(len(batch))
        offset_map.add(batch, [])
        records += [(key, False) for key in batch]
    offset_map.settle()
    assert list(offset_map.marks) == expected(records)

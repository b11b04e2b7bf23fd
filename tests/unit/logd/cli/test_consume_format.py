"""Goal: records are printed as formats say. Method: every token, and a plain rendering record by record as oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.cli.consume_format import NULL_TEXT, FormatError, TextFormat
from logd.cli.consumed import Records, Source, read_records
from protocol.fetched import readable_batches
from protocol.record_builder import build_batch, rewrite_timestamps
from protocol.records import Record

SOURCE = Source("orders", 3, 1)
BLOBS = st.none() | st.binary(max_size=9)


def records_of(*rows: Record, append_time_ms: int | None = None) -> Records:
    batch = build_batch(rows, base_offset=rows[0].offset)
    if append_time_ms is not None:
        rewrite_timestamps(batch, log_append_time=True, max_timestamp=append_time_ms)
    [fetched] = readable_batches(bytes(batch), rows[0].offset).batches
    return read_records(fetched, SOURCE)


RECORDS = records_of(
    Record(7, 1000, b"k", b"value", (("a", b"1"), ("b", None))),
    Record(9, 1001, None, None),
    Record(10, 999, b"", b"\xff\n"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%s;", b"value;;\xff\n;"),
        ("%S ", b"5 -1 2 "),
        ("%R", b"\0\0\0\5\xff\xff\xff\xff\0\0\0\2"),
        ("%k=", b"k==="),
        ("%K ", b"1 -1 0 "),
        ("%T ", b"1000 1001 999 "),
        ("%h|", b"a=1,b=NULL|||"),
        ("%t [%p] %o\\n", b"orders [3] 7\norders [3] 9\norders [3] 10\n"),
        ("100%% \\x41", b"100% A100% A100% A"),
        ("%%s", b"%s%s%s"),
        ("", b""),
    ],
)
def test_tokens(text: str, expected: bytes) -> None:
    assert TextFormat.parse(text).render(RECORDS) == expected


def test_null_is_told_from_empty_when_asked_for() -> None:
    assert TextFormat.parse("%k:%s;", null=NULL_TEXT).render(RECORDS) == b"k:value;NULL:NULL;:\xff\n;"


@pytest.mark.parametrize("wrong", ["%", "%s %", "%x", "%d items", "%\n"])
def test_unknown_tokens_are_refused(wrong: str) -> None:
    with pytest.raises(FormatError, match="%s"):
        TextFormat.parse(wrong)


def test_append_time_counts_for_all() -> None:
    records = records_of(Record(0, 5, None, b"a"), Record(1, 6, None, b"b"), append_time_ms=70)
    assert records.is_log_append_time
    assert TextFormat.parse("%T ").render(records) == b"70 70 "


@given(
    st.lists(st.tuples(BLOBS, BLOBS), min_size=1, max_size=20), st.binary(max_size=3), st.none() | st.binary()
)
def test_delimited(
    pairs: list[tuple[bytes | None, bytes | None]], delimiter: bytes, key_delimiter: bytes | None
) -> None:
    records = records_of(*(Record(at, 0, key, value) for at, (key, value) in enumerate(pairs)))
    expected = b""
    for key, value in pairs:
        if key_delimiter is not None:
            expected += (key or b"") + key_delimiter
        expected += (value or b"") + delimiter
    assert TextFormat.delimited(delimiter, key_delimiter).render(records) == expected


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(0, 90), st.none() | st.integers(0, 90)
)
def test_a_part_of_the_records(steps: list[int], start: int, end: int | None) -> None:
    offsets = [sum(steps[: place + 1]) for place in range(len(steps))]
    records = records_of(*(Record(offset, offset * 10, None, b"%d" % offset) for offset in offsets))
    kept = records.between(start, end)
    wanted = [offset for offset in offsets if offset >= start and (end is None or offset < end)]
    assert list(kept.offsets) == wanted
    assert list(kept.values) == [b"%d" % offset for offset in wanted]
    assert list(records.first(start).offsets) == offsets[:start]
    assert list(records.before(start * 10).offsets) == [offset for offset in offsets if offset < start]

"""Goal: columns say what the records say. Method: the reader of single records as oracle; damage at every byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BrokerError
from protocol.record_builder import RecordBatchBuilder, build_batch
from protocol.record_columns import read_columns, read_headers
from protocol.records import HEADER_SIZE, Record, iter_records

BLOBS = st.none() | st.binary(max_size=40) | st.integers(60, 20_000).map(lambda size: b"ab" * size)
HEADERS = st.lists(st.tuples(st.text(max_size=8), st.none() | st.binary(max_size=9)), max_size=3).map(tuple)
RECORDS = st.lists(
    st.builds(Record, st.just(0), st.integers(-1, 1 << 62), BLOBS, BLOBS, HEADERS), min_size=1, max_size=12
)


@given(RECORDS, st.integers(1, 20_000))
def test_columns_hold_what_the_records_hold(records: list[Record], step: int) -> None:
    batch = build_batch([record._replace(offset=index * step) for index, record in enumerate(records)])
    columns = read_columns(bytes(batch[HEADER_SIZE:]), len(records))
    base = records[0].timestamp_ms
    assert columns.offset_deltas == [index * step for index in range(len(records))]
    assert [base + delta for delta in columns.timestamp_deltas] == [each.timestamp_ms for each in records]
    assert columns.keys == [each.key for each in records]
    assert columns.values == [each.value for each in records]
    found = [tuple((name.decode(), value) for name, value in read_headers(raw)) for raw in columns.headers]
    assert found == [each.headers for each in records]


@given(RECORDS, st.data())
def test_bytes_raise_nothing_but_a_broker_error(records: list[Record], data: st.DataObject) -> None:
    body = build_batch([each._replace(offset=index) for index, each in enumerate(records)])[HEADER_SIZE:]
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for damaged in (bytes(body), bytes(body[:cut])):
        try:
            for raw in read_columns(damaged, len(records)).headers:
                read_headers(raw)
        except BrokerError:
            pass


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_records_is_refused(count: int) -> None:
    batch = build_batch([Record(0, 0, None, b"a"), Record(1, 0, None, b"b")])
    with pytest.raises(BrokerError):
        read_columns(bytes(batch[HEADER_SIZE:]), count)


@given(st.lists(st.tuples(BLOBS, BLOBS), max_size=20), st.integers(-1, 1 << 50), HEADERS, st.integers(0, 2))
def test_extend_adds_what_append_adds(
    pairs: list[tuple[bytes | None, bytes | None]],
    timestamp_ms: int,
    headers: tuple[tuple[str, bytes | None], ...],
    before: int,
) -> None:
    at_once, one_by_one = RecordBatchBuilder(base_offset=7), RecordBatchBuilder(base_offset=7)
    for builder in (at_once, one_by_one):
        for _ in range(before):
            builder.append(b"before", timestamp_ms=1000)
    at_once.extend(
        [key for key, _ in pairs], [value for _, value in pairs], timestamp_ms=timestamp_ms, headers=headers
    )
    for key, value in pairs:
        one_by_one.append(value, key=key, timestamp_ms=timestamp_ms, headers=headers)
    assert len(at_once) == before + len(pairs)
    if before or pairs:
        assert at_once.build() == one_by_one.build()
        assert len(list(iter_records(at_once.build()))) == before + len(pairs)

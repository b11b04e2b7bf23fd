"""Keys are read as the record iterator reads them, and what is kept of a batch reads as before."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.compression import Codec
from protocol.errors import BrokerError
from protocol.record_builder import build_batch
from protocol.record_keys import keep_records, pack_batch, read_keys, set_delete_horizon, without_records
from protocol.records import Record, iter_records, read_header, record_bytes, verify_crc

Row = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
Drawn = tuple[list[Row], Codec, int]

headers = st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=200)), max_size=2)
record = st.tuples(
    st.integers(-(1 << 40), 1 << 40),
    st.none() | st.binary(max_size=200),
    st.none() | st.binary(max_size=200),
    headers,
)
batches = st.tuples(
    st.lists(record, min_size=1, max_size=8), st.sampled_from(list(Codec)), st.integers(1, 300)
)


def built(drawn: Drawn) -> bytes:
    rows, codec, step = drawn
    records = [
        Record(100 + step * place, time, key, value, tuple(heads))
        for place, (time, key, value, heads) in enumerate(rows)
    ]
    return bytes(
        build_batch(records, codec=codec, base_offset=100, producer_id=7, producer_epoch=1, base_sequence=5)
    )


@given(batches)
def test_keys_are_those_of_the_records(drawn: Drawn) -> None:
    batch = built(drawn)
    header = read_header(batch)
    keys, without_value = read_keys(bytes(record_bytes(batch, header)), header.record_count)
    records = list(iter_records(batch))
    assert keys == [each.key for each in records]
    assert without_value == [place for place, each in enumerate(records) if each.value is None]


@given(batches, st.randoms(use_true_random=False), st.none() | st.integers(0, 1 << 42))
def test_what_is_kept_reads_as_before(drawn: Drawn, choose: random.Random, horizon: int | None) -> None:
    batch = built(drawn)
    before = read_header(batch)
    records = list(iter_records(batch))
    keep = bytearray(choose.choice((0, 1)) for _ in records)
    keep[choose.randrange(len(keep))] = 1
    header, body = keep_records(before, bytes(record_bytes(batch, before)), bytes(keep))
    if horizon is not None:
        header, body = set_delete_horizon(header, body, horizon)
    after = pack_batch(header, body)
    kept = [each for each, stays in zip(records, keep, strict=True) if stays]
    assert verify_crc(after)
    assert list(iter_records(after)) == kept
    found = read_header(after)
    assert found.max_timestamp == max(each.timestamp_ms for each in kept)
    assert found.delete_horizon == horizon
    assert found.codec == before.codec
    for name in (
        "base_offset",
        "last_offset",
        "producer_id",
        "producer_epoch",
        "base_sequence",
        "last_sequence",
    ):
        assert getattr(found, name) == getattr(before, name)


def test_a_batch_without_records_keeps_who_wrote_it() -> None:
    batch = build_batch(
        [Record(3, 9, b"k", b"v"), Record(5, 8, b"k", b"v")],
        base_offset=3,
        producer_id=7,
        producer_epoch=1,
        base_sequence=5,
        transactional=True,
        codec=Codec.GZIP,
    )
    emptied = pack_batch(without_records(read_header(batch)), b"")
    header = read_header(emptied)
    assert verify_crc(emptied)
    assert list(iter_records(emptied)) == []
    assert (header.base_offset, header.last_offset, header.last_sequence) == (3, 5, 7)
    assert (header.max_timestamp, header.codec, header.is_transactional) == (9, Codec.NONE, True)


@given(st.binary(max_size=60), st.integers(1, 5))
def test_bytes_that_are_no_records_are_refused_or_read(body: bytes, count: int) -> None:
    try:
        keys, _ = read_keys(body, count)
    except BrokerError:
        return
    assert len(keys) == count


@pytest.mark.parametrize("change", [b"\x02", b"\xff" * 11])
def test_a_record_of_the_wrong_length_is_refused(change: bytes) -> None:
    body = bytes(build_batch([Record(0, 1, b"key", b"value")])[61:])
    with pytest.raises(BrokerError):
        read_keys(change + body[1:], 1)

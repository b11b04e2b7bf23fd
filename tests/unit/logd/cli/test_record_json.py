"""Goal: an envelope loses nothing and is JSON for anyone. Method: the json module reads it; any record comes back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.cli.record_json import Envelope, EnvelopeError, JsonFormat, read_envelope
from protocol.records import Record
from tests.unit.logd.cli.test_consume_format import records_of

BLOBS = st.none() | st.binary(max_size=9) | st.text(max_size=9).map(str.encode)
HEADERS = st.lists(st.tuples(st.text(max_size=8), BLOBS), max_size=3).map(tuple)


@given(
    st.lists(st.tuples(st.integers(-1, 1 << 62), BLOBS, BLOBS, HEADERS), min_size=1, max_size=5),
    st.sampled_from([b"\n", b"\0", b"\xff--"]),
)
def test_what_is_written_is_read_back(
    rows: list[tuple[int, bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]], delimiter: bytes
) -> None:
    text = JsonFormat(delimiter).render(records_of(*(Record(at, *row) for at, row in enumerate(rows))))
    assert text.endswith(delimiter)
    for line, (timestamp, key, value, headers) in zip(text.split(delimiter)[:-1], rows, strict=True):
        expected = Envelope(key, value, headers, None if timestamp < 0 else timestamp)
        assert read_envelope(line) == expected


def test_the_shape_is_kcats() -> None:
    line = JsonFormat(b"\n").render(records_of(Record(7, 5, b"k", b"\xc3\xa4", (("h", b"1"), ("n", None)))))
    assert list(json.loads(line).items()) == [
        ("topic", "orders"),
        ("partition", 3),
        ("offset", 7),
        ("tstype", "create"),
        ("ts", 5),
        ("broker", 1),
        ("headers", ["h", "1", "n", None]),
        ("key", "k"),
        ("payload", "ä"),
    ]
    [plain] = JsonFormat(b"\n").render(records_of(Record(7, -1, None, None))).splitlines()
    assert plain == b'{"topic":"orders","partition":3,"offset":7,"broker":1,"key":null,"payload":null}'


def test_bytes_that_are_no_text_and_times_of_the_log() -> None:
    records = records_of(Record(0, 5, b"\xff", b"\xfe", (("h", b"\xfd"),)), append_time_ms=70)
    row = json.loads(JsonFormat(b"\n").render(records))
    assert row["key"] == {"base64": "/w=="} and row["payload"] == {"base64": "/g=="}
    assert row["headers"] == ["h", {"base64": "/Q=="}]
    assert (row["tstype"], row["ts"]) == ("logappend", 70)
    assert read_envelope(json.dumps(row).encode()).timestamp_ms is None, "the next log sets its own"


def test_what_others_write() -> None:
    assert read_envelope(b'{"payload": "v"}') == Envelope(None, b"v", (), None)
    assert read_envelope(b'{"payload": null, "headers": {"a": "1"}}').headers == (("a", b"1"),)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"key": "k"}', "payload"),
        (b'{"payload": 1}', '"payload" is neither'),
        (b'{"payload": {"base64": "*"}}', '"payload" cannot be read'),
        (b'{"payload": {"base64": "", "more": 1}}', '"payload" is neither'),
        (b'{"payload": "\\ud800"}', '"payload" cannot be read'),
        (b'{"payload": "", "key": []}', '"key"'),
        (b'{"payload": "", "ts": "now"}', '"ts"'),
        (b'{"payload": "", "ts": true}', '"ts"'),
        (b'{"payload": "", "ts": 9223372036854775808}', '"ts"'),
        (b'{"payload": "", "headers": ["a"]}', '"headers"'),
        (b'{"payload": "", "headers": [1, "a"]}', "name of a header"),
        (b'{"payload": "", "headers": ["a", 1]}', "header a"),
        (b'{"payload": "", "headers": ["\\ud800", "a"]}', "headers"),
    ],
)
def test_what_is_no_envelope_says_why(line: bytes, part: str) -> None:
    with pytest.raises(EnvelopeError, match=part):
        read_envelope(line)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_line_raises_anything_else(line: bytes) -> None:
    try:
        read_envelope(line)
    except EnvelopeError as error:
        assert str(error)

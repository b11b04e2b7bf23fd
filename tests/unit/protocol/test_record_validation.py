"""What a producer's batch is refused for: code, order of the checks, and the records named."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from protocol.compression import Codec
from protocol.control_records import end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import build_batch, rewrite_timestamps
from protocol.record_validation import (
    InvalidRecords,
    check_batch,
    check_produced_batch,
    validate_records,
)
from protocol.records import HEADER, HEADER_SIZE, Record, read_header, set_crc
from protocol.types import Buffer

NOW = 1_700_000_000_000
RECORDS = [Record(i, NOW + i, b"k%d" % i, b"v" * i * 40, (("h", b"x"),) * (i % 3)) for i in range(200)]


def patched(field: str, value: int) -> bytearray:
    """Return a good batch with one header field changed and the checksum right."""
    batch = build_batch(RECORDS)
    HEADER.pack_into(batch, 0, *read_header(batch)._replace(**{field: value}))
    set_crc(batch)
    return batch


def refusal(check: Callable[[], object]) -> BrokerError:
    with pytest.raises(BrokerError) as caught:
        check()
    return caught.value


def test_a_good_batch_passes() -> None:
    batch = build_batch(RECORDS, codec=Codec.LZ4, producer_id=1, producer_epoch=0, base_sequence=0)
    assert check_batch(batch) == check_produced_batch(memoryview(batch), len(batch)) == read_header(batch)


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        pytest.param(b"", ErrorCode.INVALID_RECORD, id="nothing"),
        pytest.param(b"\x00", ErrorCode.CORRUPT_MESSAGE, id="one byte"),
        pytest.param(build_batch(RECORDS)[:60], ErrorCode.CORRUPT_MESSAGE, id="shorter than a header"),
        pytest.param(build_batch(RECORDS)[:-1], ErrorCode.INVALID_RECORD, id="cut"),
        pytest.param(build_batch(RECORDS) * 2, ErrorCode.INVALID_RECORD, id="two batches"),
        pytest.param(build_batch(RECORDS) + b"\x00", ErrorCode.INVALID_RECORD, id="a byte too many"),
        pytest.param(patched("magic", 1), ErrorCode.INVALID_RECORD, id="format v1"),
        pytest.param(patched("batch_length", 48), ErrorCode.CORRUPT_MESSAGE, id="length below a header"),
        pytest.param(patched("batch_length", -1), ErrorCode.CORRUPT_MESSAGE, id="negative length"),
    ],
)
def test_structure(batch: Buffer, code: ErrorCode) -> None:
    assert refusal(lambda: check_batch(batch)).code is code
    assert refusal(lambda: check_produced_batch(batch, 1 << 30)).code is code


def test_checksum() -> None:
    batch = build_batch(RECORDS)
    batch[-1] ^= 1
    assert refusal(lambda: check_batch(batch)).code is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("base_offset", 1, ErrorCode.INVALID_RECORD),
        ("record_count", 0, ErrorCode.INVALID_RECORD),
        ("record_count", -1, ErrorCode.INVALID_RECORD),
        ("record_count", 199, ErrorCode.INVALID_RECORD),
        ("last_offset_delta", 200, ErrorCode.INVALID_RECORD),
        ("attributes", 0x20, ErrorCode.INVALID_RECORD),
        ("producer_id", 7, ErrorCode.INVALID_RECORD),
        ("attributes", 6, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    ],
)
def test_header_rules_for_producers(field: str, value: int, code: ErrorCode) -> None:
    batch = patched(field, value)
    assert check_batch(batch), "other origins may write this"
    assert refusal(lambda: check_produced_batch(batch, 1 << 20)).code is code


def test_an_empty_batch_with_matching_figures_is_refused() -> None:
    batch = bytearray(HEADER_SIZE)
    HEADER.pack_into(batch, 0, 0, HEADER_SIZE - 12, -1, 2, 0, 0, -1, -1, -1, -1, -1, -1, 0)
    set_crc(batch)
    assert refusal(lambda: check_produced_batch(batch, 1 << 20)).code is ErrorCode.INVALID_RECORD


def test_producers_may_not_write_markers() -> None:
    marker = end_txn_marker(
        committed=True, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp_ms=NOW
    )
    assert refusal(lambda: check_produced_batch(marker, 1 << 20)).code is ErrorCode.INVALID_RECORD


def test_size_limit_is_inclusive_and_comes_before_the_checksum() -> None:
    batch = build_batch(RECORDS)
    check_produced_batch(batch, len(batch))
    batch[-1] ^= 1
    assert refusal(lambda: check_produced_batch(batch, len(batch) - 1)).code is ErrorCode.MESSAGE_TOO_LARGE


def validate(
    batch: Buffer,
    *,
    compacted: bool = False,
    full: bool = False,
    log_append_time: bool = False,
    before_ms: int = 1 << 62,
    after_ms: int = 3_600_000,
) -> int:
    return validate_records(
        batch,
        check_produced_batch(batch, 1 << 30),
        compacted=compacted,
        full=full,
        log_append_time=log_append_time,
        earliest_ms=NOW - before_ms,
        latest_ms=NOW + after_ms,
    )


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("compacted", [False, True])
def test_good_records_pass(codec: Codec, full: bool, compacted: bool) -> None:
    batch = build_batch(RECORDS, codec=codec)
    assert validate(batch, full=full, compacted=compacted) == NOW + 199


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_null_keys_on_a_compacted_topic(codec: Codec, full: bool) -> None:
    records = [record._replace(key=None) if record.offset in (3, 150) else record for record in RECORDS]
    records[4] = records[4]._replace(key=b"")
    batch = build_batch(records, codec=codec)
    error = refusal(lambda: validate(batch, compacted=True, full=full))
    assert isinstance(error, InvalidRecords)
    assert error.code is ErrorCode.INVALID_RECORD
    assert [fault.batch_index for fault in error.record_errors] == [3, 150]
    validate(batch, compacted=False, full=full)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("early", "late"), [(None, 5), (6, None), (6, 5)])
def test_timestamps_out_of_bounds(full: bool, early: int | None, late: int | None) -> None:
    records = list(RECORDS)
    named = []
    if late is not None:
        records[late] = records[late]._replace(timestamp_ms=NOW + 3_600_001)
        named.append(late)
    if early is not None:
        records[early] = records[early]._replace(timestamp_ms=NOW - 1_001)
        records[0] = records[0]._replace(timestamp_ms=NOW - 1_002)
        named += [0, early]
    batch = build_batch(records)
    error = refusal(lambda: validate(batch, full=full, before_ms=1_000))
    assert isinstance(error, InvalidRecords)
    assert error.code is ErrorCode.INVALID_TIMESTAMP
    assert [fault.batch_index for fault in error.record_errors] == sorted(named)


@pytest.mark.parametrize("full", [False, True])
def test_both_bounds_are_inclusive_and_minus_one_passes(full: bool) -> None:
    stamps = [-1, NOW - 1_000, NOW + 3_600_000, -1]
    batch = build_batch([Record(i, stamp, b"k", b"v") for i, stamp in enumerate(stamps)])
    assert validate(batch, full=full, before_ms=1_000) == NOW + 3_600_000
    assert validate(build_batch([Record(0, -1, b"k", b"v")]), full=full, before_ms=1_000) == -1


def test_a_bad_timestamp_decides_the_code_for_all() -> None:
    records = [Record(0, NOW, None, b"v"), Record(1, NOW + 9_999_999, b"k", b"v")]
    error = refusal(lambda: validate(build_batch(records), compacted=True, full=True))
    assert isinstance(error, InvalidRecords)
    assert error.code is ErrorCode.INVALID_TIMESTAMP
    assert [fault.batch_index for fault in error.record_errors] == [0, 1]


def test_full_validation_finds_the_true_greatest_timestamp() -> None:
    batch = build_batch(RECORDS)
    rewrite_timestamps(batch, log_append_time=False, max_timestamp=NOW)
    assert validate(batch) == NOW, "the header is believed"
    assert validate(batch, full=True) == NOW + 199


def test_a_header_that_only_claims_a_late_timestamp_is_corrected() -> None:
    batch = build_batch(RECORDS)
    rewrite_timestamps(batch, log_append_time=False, max_timestamp=NOW + 9_999_999)
    assert validate(batch) == NOW + 199


@pytest.mark.parametrize("full", [False, True])
def test_append_time_topics_do_not_look_at_timestamps(full: bool) -> None:
    records = [Record(0, 5, b"k", b"v"), Record(1, NOW + 9_999_999, b"k", b"v")]
    validate(build_batch(records), log_append_time=True, before_ms=0, full=full)


@pytest.mark.parametrize("full", [False, True])
def test_a_batch_that_claims_append_time(full: bool) -> None:
    """Refused where the topic stamps records itself; elsewhere the stamp must lie within the bounds."""
    batch = build_batch(RECORDS)
    rewrite_timestamps(batch, log_append_time=True, max_timestamp=NOW + 50)
    assert validate(batch, full=full) == NOW + 50
    assert (
        refusal(lambda: validate(batch, full=full, log_append_time=True)).code is ErrorCode.INVALID_TIMESTAMP
    )
    for stamp in (-1, NOW + 9_999_999):
        rewrite_timestamps(batch, log_append_time=True, max_timestamp=stamp)
        assert refusal(lambda: validate(batch, full=full)).code is ErrorCode.INVALID_TIMESTAMP


def test_offset_deltas_must_run_one_by_one_under_full_validation() -> None:
    """The header agrees with itself, the records do not: deltas 0, 2 with the figures of two records."""
    batch = build_batch([Record(0, NOW, b"k", b"v"), Record(2, NOW, b"k", b"v")])
    HEADER.pack_into(batch, 0, *read_header(batch)._replace(last_offset_delta=1))
    set_crc(batch)
    validate(batch)
    error = refusal(lambda: validate(batch, full=True))
    assert isinstance(error, InvalidRecords)
    assert error.code is ErrorCode.INVALID_RECORD
    assert [fault.batch_index for fault in error.record_errors] == [1]


CUTTABLE = build_batch(RECORDS[:3])


@pytest.mark.parametrize("cut", range(1, len(CUTTABLE) - HEADER_SIZE))
def test_every_cut_record_area_is_malformed(cut: int) -> None:
    """Whatever the last bytes were: the records do not add up to the count any more."""
    batch = CUTTABLE[:-cut]
    struct.pack_into(">i", batch, 8, len(batch) - 12)
    set_crc(batch)
    assert refusal(lambda: validate(batch, full=True)).code is ErrorCode.INVALID_RECORD
    assert refusal(lambda: validate(batch, compacted=True)).code is ErrorCode.INVALID_RECORD


def test_damaged_compression_is_invalid() -> None:
    batch = build_batch(RECORDS, codec=Codec.ZSTD)
    batch[HEADER_SIZE] ^= 0xFF
    set_crc(batch)
    validate(batch)
    assert refusal(lambda: validate(batch, full=True)).code is ErrorCode.INVALID_RECORD
    assert refusal(lambda: validate(batch, compacted=True)).code is ErrorCode.INVALID_RECORD


def test_decompression_is_bounded() -> None:
    batch = build_batch([Record(0, NOW, b"k", bytes(1 << 20))], codec=Codec.ZSTD)
    with pytest.raises(BrokerError) as caught:
        validate_records(
            batch,
            read_header(batch),
            compacted=False,
            full=True,
            earliest_ms=0,
            latest_ms=1 << 62,
            max_size=1 << 20,
        )
    assert caught.value.code is ErrorCode.INVALID_RECORD

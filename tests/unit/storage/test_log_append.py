"""Appending: offsets, what is refused with which code, what a topic's settings do, and that it is all or nothing."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from protocol.compression import Codec
from protocol.control_records import end_txn_marker
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import build_batch, recompress
from protocol.record_validation import InvalidRecords
from protocol.records import Record, iter_records, read_header, set_crc, verify_crc
from storage.config import LogConfig
from storage.errors import NoSpace, OffsetOutOfRange, StorageFailure
from storage.fs.faulty import FaultyFileSystem, Kind, Operation
from storage.fs.memory import MemoryFileSystem
from storage.log import AppendOrigin, Log
from storage.time_index import NO_TIMESTAMP
from tests.support.logs import DIRECTORY, NOW_MS, append, flush, make_batch, open_log, read_all


def new_log(**config: Any) -> Log:
    return open_log(MemoryFileSystem(), LogConfig(**config))[0]


def refusal(log: Log, batch: bytearray) -> BrokerError:
    """The refusal of a batch; nothing may change by it."""
    before = (log.log_end_offset, log.size_bytes, log.leader_epochs.entries, dict(log.producers.producers))
    with pytest.raises(BrokerError) as caught:
        append(log, batch)
    after = (log.log_end_offset, log.size_bytes, log.leader_epochs.entries, dict(log.producers.producers))
    assert before == after
    return caught.value


def changed(batch: bytearray, position: int, value: int, size: int, *, crc: bool = True) -> bytearray:
    """The batch with a field set, and the checksum made to fit unless that is not wanted."""
    batch[position : position + size] = value.to_bytes(size, "big", signed=True)
    if crc:
        set_crc(batch)
    return batch


def test_offsets_and_epoch_are_set_in_place() -> None:
    log = new_log()
    first, second = make_batch(3), make_batch(2)
    result = append(log, first, leader_epoch=4)
    assert (result.base_offset, result.last_offset, result.duplicate) == (0, 2, False)
    assert (result.max_timestamp, result.log_append_time, result.flush_to) == (NOW_MS, -1, -1)
    result = append(log, second, leader_epoch=5)
    assert (result.base_offset, result.last_offset) == (3, 4)
    header = read_header(second)
    assert (header.base_offset, header.leader_epoch) == (3, 5)
    assert verify_crc(second)
    assert log.log_end_offset == 5
    assert log.size_bytes == len(first) + len(second)
    assert log.leader_epochs.entries == [(4, 0), (5, 3)]
    assert read_all(log) == [bytes(first), bytes(second)]


def test_a_log_without_batches_has_no_files() -> None:
    fs = MemoryFileSystem()
    log, _ = open_log(fs)
    assert fs.listdir(DIRECTORY) == []
    append(log, make_batch())
    stem = "0" * 20
    assert fs.listdir(DIRECTORY) == [f"{stem}.index", f"{stem}.log", f"{stem}.timeindex"]


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        (bytearray(), ErrorCode.INVALID_RECORD),
        (make_batch()[:60], ErrorCode.CORRUPT_MESSAGE),
        (make_batch()[:-1], ErrorCode.INVALID_RECORD),
        (make_batch() + make_batch(), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 16, 1, 1), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 0, 5, 8), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 17, 0, 4, crc=False), ErrorCode.CORRUPT_MESSAGE),
        (changed(make_batch(2), 23, 2, 4), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 57, 0, 4), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 57, -1, 4), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 21, 0x20, 2), ErrorCode.INVALID_RECORD),
        (changed(make_batch(), 21, 0x05, 2), ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
        (make_batch(producer_id=1, producer_epoch=0), ErrorCode.INVALID_RECORD),
        (make_batch(size=2_000_000), ErrorCode.MESSAGE_TOO_LARGE),
        (make_batch(timestamp_ms=NOW_MS + 3_600_001), ErrorCode.INVALID_TIMESTAMP),
    ],
    ids=[
        "empty",
        "shorter than a header",
        "cut off",
        "two batches",
        "format v1",
        "base offset not 0",
        "wrong checksum",
        "last offset against count",
        "no records",
        "negative count",
        "control batch",
        "unknown codec",
        "producer without sequence",
        "too large",
        "from the future",
    ],
)
def test_bad_batches_are_refused(batch: bytearray, code: ErrorCode) -> None:
    log = new_log()
    append(log, make_batch())
    assert refusal(log, bytearray(batch)).code is code


def test_a_batch_larger_than_a_segment_is_refused() -> None:
    log = new_log(segment_bytes=200)
    assert refusal(log, make_batch(size=300)).code is ErrorCode.RECORD_LIST_TOO_LARGE
    append(log, make_batch(size=50))
    assert refusal(log, make_batch(size=300)).code is ErrorCode.RECORD_LIST_TOO_LARGE
    assert len(log.segments) == 1


def test_an_early_timestamp_is_refused_where_the_topic_says_so() -> None:
    log = new_log(message_timestamp_before_max_ms=1000)
    append(log, make_batch(timestamp_ms=NOW_MS - 1000))
    append(log, make_batch(timestamp_ms=NO_TIMESTAMP))
    error = refusal(log, make_batch(2, timestamp_ms=NOW_MS - 1001))
    assert error.code is ErrorCode.INVALID_TIMESTAMP
    assert isinstance(error, InvalidRecords)
    assert [record[0] for record in error.record_errors] == [0, 1]


def test_a_compacted_topic_wants_keys() -> None:
    log = new_log(cleanup_policy=frozenset({"compact"}))
    append(log, make_batch(2))
    error = refusal(log, make_batch(2, key=None))
    assert error.code is ErrorCode.INVALID_RECORD
    assert isinstance(error, InvalidRecords)
    assert [record[0] for record in error.record_errors] == [0, 1]


def test_full_validation_looks_at_every_record() -> None:
    lying = make_batch(2)
    lying[61] = 0  # the first record says that it has no bytes
    set_crc(lying)
    append(new_log(), bytearray(lying))
    assert refusal(new_log(validation="full"), lying).code is ErrorCode.INVALID_RECORD


def test_log_append_time_is_stamped() -> None:
    log = new_log(message_timestamp_type="LogAppendTime")
    batch = make_batch(2, timestamp_ms=5)
    result = append(log, batch, now_ms=NOW_MS + 7)
    assert result.log_append_time == result.max_timestamp == NOW_MS + 7
    written = read_all(log)[0]
    assert verify_crc(written)
    assert {record.timestamp_ms for record in iter_records(written)} == {NOW_MS + 7}


@pytest.mark.parametrize(
    "config",
    [
        LogConfig(message_timestamp_type="LogAppendTime"),
        LogConfig(message_timestamp_type="LogAppendTime", cleanup_policy=frozenset({"compact"})),
        LogConfig(message_timestamp_type="LogAppendTime", compression_type="gzip"),
        LogConfig(message_timestamp_type="LogAppendTime", segment_bytes=100),
        LogConfig(validation="full"),
    ],
    ids=["stamped", "compacted", "recompressed", "too large for a segment", "wrong maximum"],
)
def test_a_refused_batch_is_as_it_was(config: LogConfig) -> None:
    """It may be offered again. One with the broker's stamp would be refused for that: the second transaction of every
    producer was, in a topic of this kind.
    """
    log = open_log(MemoryFileSystem(), config)[0]
    log.producers.update(9, 1, 0, 0, 0, 0, NOW_MS, False)  # in a later epoch: the batch is fenced
    batch = changed(idempotent(0), 35, NOW_MS + 1, 8)  # its greatest timestamp, which no record has
    before = bytes(batch)
    assert refusal(log, batch).code in (ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.RECORD_LIST_TOO_LARGE)
    assert batch == before


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP, Codec.LZ4, Codec.ZSTD])
def test_the_topics_codec_is_applied(codec: Codec) -> None:
    name = "uncompressed" if codec is Codec.NONE else codec.name.lower()
    log = new_log(compression_type=name)
    sent = recompress(make_batch(20), Codec.SNAPPY)
    append(log, sent)
    written = read_all(log)[0]
    header = read_header(written)
    assert header.codec is codec
    assert verify_crc(written)
    assert (header.base_offset, header.leader_epoch) == (0, 0)
    assert [r.offset for r in iter_records(written)] == list(range(20))


def test_a_batch_too_large_under_the_topics_codec_is_refused() -> None:
    log = new_log(compression_type="uncompressed", max_message_bytes=500)
    batch = recompress(make_batch(50), Codec.ZSTD)
    assert len(batch) <= 500
    assert refusal(log, batch).code is ErrorCode.MESSAGE_TOO_LARGE


# -- idempotent producers --------------------------------------------------------------------------------


def idempotent(sequence: int, *, count: int = 2, epoch: int = 0) -> bytearray:
    return make_batch(count, producer_id=9, producer_epoch=epoch, base_sequence=sequence)


def test_a_repeated_batch_is_answered_with_its_first_offsets() -> None:
    log = new_log()
    append(log, make_batch())
    for sequence in range(0, 10, 2):
        append(log, idempotent(sequence))
    size = log.size_bytes
    for sequence in range(0, 10, 2):
        result = append(log, idempotent(sequence))
        assert result.duplicate
        assert (result.base_offset, result.last_offset) == (1 + sequence, 2 + sequence)
    assert log.size_bytes == size
    append(log, idempotent(10))
    assert refusal(log, idempotent(0)).code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sequences_and_epochs_are_checked() -> None:
    log = new_log()
    append(log, idempotent(0, epoch=3))
    assert refusal(log, idempotent(4, epoch=3)).code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert refusal(log, idempotent(2, epoch=2)).code is ErrorCode.INVALID_PRODUCER_EPOCH
    assert refusal(log, idempotent(2, epoch=4)).code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    append(log, idempotent(0, epoch=4))


def test_sequences_wrap() -> None:
    log = new_log()
    append(log, idempotent(2**31 - 1, count=2))
    result = append(log, idempotent(1))
    assert result.base_offset == 2


# -- transactions ----------------------------------------------------------------------------------------


def test_a_marker_ends_a_transaction_and_an_abort_is_indexed() -> None:
    log = new_log()
    batch = make_batch(2, producer_id=9, producer_epoch=0, base_sequence=0, transactional=True)
    append(log, batch)
    assert log.first_unstable_offset == 0
    marker = end_txn_marker(
        committed=False, producer_id=9, producer_epoch=0, coordinator_epoch=1, timestamp_ms=NOW_MS
    )
    result = log.append(marker, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    assert result.base_offset == 2
    log.producers.on_high_watermark(3)
    assert log.first_unstable_offset is None
    assert log.aborted_transactions(0, 3) == [(9, 0)]
    assert log.aborted_transactions(3, 3) == []
    stale = end_txn_marker(
        committed=True, producer_id=9, producer_epoch=0, coordinator_epoch=0, timestamp_ms=NOW_MS
    )
    with pytest.raises(BrokerError) as caught:
        log.append(stale, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    assert caught.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED


# -- rolling ---------------------------------------------------------------------------------------------


def bases(log: Log) -> list[int]:
    return [segment.base_offset for segment in log.segments]


def test_a_full_segment_is_rolled() -> None:
    size = len(make_batch())
    log = new_log(segment_bytes=2 * size)
    for _ in range(5):
        append(log, make_batch())
    assert bases(log) == [0, 2, 4]
    assert log.producers.snapshot_offsets == [2, 4]


def test_a_segment_is_rolled_by_the_time_of_its_first_batch() -> None:
    log = new_log(segment_ms=1000)
    append(log, make_batch(timestamp_ms=NOW_MS))
    append(log, make_batch(timestamp_ms=NOW_MS + 1000), now_ms=NOW_MS + 10**9)
    assert bases(log) == [0]
    append(log, make_batch(timestamp_ms=NOW_MS + 1001))
    assert bases(log) == [0, 2]


def test_a_segment_that_lost_all_its_batches_has_no_age() -> None:
    """Else a second one with its base offset would be made, in the same files."""
    log = new_log(segment_ms=1000)
    append(log, make_batch(timestamp_ms=NOW_MS))
    log.roll(NOW_MS)
    append(log, make_batch(timestamp_ms=NOW_MS))
    log.truncate_to(1, NOW_MS)
    append(log, make_batch(timestamp_ms=NOW_MS + 5000))
    append(log, make_batch(timestamp_ms=NOW_MS + 6000))
    assert bases(log) == [0, 1]
    append(log, make_batch(timestamp_ms=NOW_MS + 6001))
    assert bases(log) == [0, 1, 3]


def test_a_segment_without_timestamps_is_rolled_by_the_clock() -> None:
    log = new_log(segment_ms=1000)
    append(log, make_batch(timestamp_ms=-1), now_ms=NOW_MS)
    append(log, make_batch(timestamp_ms=-1), now_ms=NOW_MS + 1000)
    assert bases(log) == [0]
    append(log, make_batch(timestamp_ms=-1), now_ms=NOW_MS + 1001)
    assert bases(log) == [0, 2]


def test_a_segment_of_a_compacted_log_is_rolled_in_time_for_its_compaction() -> None:
    for policy, expected in (("compact", [0, 2]), ("delete", [0])):
        log = new_log(segment_ms=10_000, max_compaction_lag_ms=1000, cleanup_policy=frozenset({policy}))
        append(log, make_batch(timestamp_ms=NOW_MS))
        append(log, make_batch(timestamp_ms=NOW_MS + 1000))
        assert bases(log) == [0]
        append(log, make_batch(timestamp_ms=NOW_MS + 1001))
        assert bases(log) == expected


def test_jitter_takes_no_more_than_all_of_the_time() -> None:
    log = new_log(segment_ms=1000, segment_jitter_ms=10**9)
    append(log, make_batch())
    assert NOW_MS <= log.segments[0].roll_above_timestamp <= NOW_MS + 1000


def test_jitter_only_makes_a_segment_roll_earlier() -> None:
    log = new_log(segment_ms=1000, segment_jitter_ms=500)
    append(log, make_batch())
    assert NOW_MS + 500 < log.segments[0].roll_above_timestamp <= NOW_MS + 1000


@pytest.mark.parametrize("index_bytes", [8 * 3, 12 * 4])
def test_a_segment_whose_index_is_full_is_rolled(index_bytes: int) -> None:
    log = new_log(segment_index_bytes=index_bytes, index_interval_bytes=1)
    for number in range(12):
        append(log, make_batch(timestamp_ms=NOW_MS + number))
    for segment in log.segments:
        assert segment.offset_index.entries <= index_bytes // 8
        assert segment.time_index.entries <= index_bytes // 12
    assert len(log.segments) > 2


def test_a_segment_spans_what_its_index_can_express() -> None:
    fs = MemoryFileSystem()
    log, _ = open_log(fs)
    big = build_batch([Record(0, NOW_MS, None, b"x")])
    huge = 2**31 - 10
    append(log, make_batch())
    log.truncate_fully_and_start_at(0, NOW_MS)
    batch = changed(changed(bytearray(big), 23, huge, 4, crc=False), 57, huge + 1, 4)
    append(log, bytearray(batch))
    append(log, make_batch(9))
    assert bases(log) == [0]
    append(log, make_batch(1))
    assert bases(log) == [0, huge + 10]


# -- all or nothing ---------------------------------------------------------------------------------------


def state(log: Log) -> tuple[Any, ...]:
    return (
        log.log_end_offset,
        log.size_bytes,
        log.recovery_point,
        log.leader_epochs.entries,
        {pid: (p.epoch, p.next_sequence, list(p.batches)) for pid, p in log.producers.producers.items()},
        [(s.base_offset, s.size_bytes, s.max_timestamp, s.offset_index.entries) for s in log.segments],
    )


@pytest.mark.parametrize("rolls", [False, True])
def test_a_full_disk_refuses_and_loses_nothing(rolls: bool) -> None:
    fs = FaultyFileSystem()
    size = len(idempotent(0))
    log, _ = open_log(fs, LogConfig(segment_bytes=2 * size if rolls else 1 << 20, index_interval_bytes=1))
    append(log, idempotent(0), leader_epoch=1)
    append(log, idempotent(2), leader_epoch=1)
    before = state(log)
    fs.before = lambda operation: errno.ENOSPC if operation.kind in (Kind.WRITE, Kind.CREATE) else None
    for _ in range(2):
        with pytest.raises(NoSpace):
            append(log, idempotent(4), leader_epoch=2)
        assert state(log) == before
    fs.before = None
    assert append(log, idempotent(4), leader_epoch=2).base_offset == 4
    assert append(log, idempotent(4), leader_epoch=2).duplicate
    assert [read_header(batch).base_offset for batch in read_all(log)] == [0, 2, 4]
    fs2 = fs
    flush(log)
    again, report = open_log(
        fs2, LogConfig(segment_bytes=2 * size if rolls else 1 << 20), recovery_point=6, clean=False
    )
    assert (again.log_end_offset, report.cut_offset) == (6, -1)


def test_a_full_disk_keeps_index_entries_in_memory() -> None:
    fs = FaultyFileSystem()
    log, _ = open_log(fs, LogConfig(index_interval_bytes=1))

    def refuse(operation: Operation) -> int | None:
        is_index = operation.path.endswith("index")
        return errno.ENOSPC if is_index and operation.kind is Kind.WRITE else None

    fs.before = refuse
    for _ in range(1500):
        append(log, make_batch(size=1))
    assert log.segments[0].offset_index.tail_entries == 1499
    assert len(read_all(log, 5000)) == 1500
    fs.before = None
    append(log, make_batch())
    assert log.segments[0].offset_index.tail_entries == 0


def test_a_failing_disk_is_reported_as_such() -> None:
    fs = FaultyFileSystem()
    log, _ = open_log(fs)
    append(log, make_batch())
    before = state(log)
    fs.before = lambda operation: errno.EIO if operation.kind is Kind.WRITE else None
    with pytest.raises(StorageFailure) as caught:
        append(log, make_batch())
    assert caught.value.fatal
    assert state(log) == before


# -- a follower's appends ----------------------------------------------------------------------------------


def test_replicated_batches_are_written_as_they_are() -> None:
    leader = new_log(segment_bytes=400)
    for sequence in range(0, 20, 2):
        append(leader, idempotent(sequence), leader_epoch=sequence // 8)
    sent = read_all(leader)
    follower = new_log(segment_bytes=300)
    follower.append_replica(b"".join(sent[:4]) + sent[4][:50])
    assert follower.log_end_offset == 8
    follower.append_replica(b"".join(sent[4:]))
    assert read_all(follower) == sent
    assert follower.leader_epochs.entries == leader.leader_epochs.entries
    assert follower.producers.producers[9].next_sequence == 20


def test_replicated_batches_are_checked_before_any_is_written() -> None:
    leader = new_log()
    for _ in range(3):
        append(leader, make_batch())
    sent = read_all(leader)
    follower = new_log()
    damaged = bytearray(b"".join(sent))
    damaged[-1] ^= 1
    with pytest.raises(BrokerError) as caught:
        follower.append_replica(damaged)
    assert caught.value.code is ErrorCode.CORRUPT_MESSAGE
    assert follower.log_end_offset == 0
    follower.append_replica(sent[0])
    with pytest.raises(OffsetOutOfRange):
        follower.append_replica(sent[0])

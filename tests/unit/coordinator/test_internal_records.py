"""Goal: records of the internal topics are Kafka's, byte for byte, and foreign ones are told from broken ones."""

from __future__ import annotations

import pytest

from coordinator.internal_records import (
    GROUP_RECORDS,
    TRANSACTION_RECORDS,
    UnreadableRecord,
    encode_key,
    encode_value,
)
from protocol.messages.records_group import GroupMetadataKey, OffsetCommitKey, OffsetCommitValue
from protocol.messages.records_transaction import TransactionLogKey, TransactionLogValue

# As Kafka 4.3 writes them: type 1, group "g", topic "t", partition 3; version 4, offset 7, no epoch, "m", time 1000.
KEY = bytes.fromhex("0001 000167 000174 00000003")
VALUE = bytes.fromhex("0004 0000000000000007 ffffffff 026d 00000000000003e8 00")

COMMIT_KEY = OffsetCommitKey(group="g", topic="t", partition=3)
COMMIT_VALUE = OffsetCommitValue(offset=7, leader_epoch=-1, metadata="m", commit_timestamp=1000)


def test_an_offset_commit_has_kafkas_bytes() -> None:
    assert encode_key(COMMIT_KEY) == KEY
    assert encode_value(COMMIT_VALUE) == VALUE
    assert GROUP_RECORDS.decode(KEY, VALUE) == (COMMIT_KEY, COMMIT_VALUE)


def test_an_offset_with_a_time_of_its_own_has_the_version_that_can_say_so() -> None:
    value = OffsetCommitValue(offset=7, metadata="m", commit_timestamp=1000, expire_timestamp=2000)
    written = bytes.fromhex("0001 0000000000000007 00016d 00000000000003e8 00000000000007d0")
    assert encode_value(value) == written
    assert GROUP_RECORDS.decode(KEY, written) == (COMMIT_KEY, value)


def test_an_offset_tells_the_id_of_its_topic() -> None:
    value = OffsetCommitValue(offset=7, metadata="m", commit_timestamp=1000, topic_id=bytes(range(16)))
    assert encode_value(value) == VALUE[:-1] + bytes.fromhex("01 00 10") + bytes(range(16))
    assert GROUP_RECORDS.decode(KEY, encode_value(value)) == (COMMIT_KEY, value)


def test_a_tombstone_has_no_value() -> None:
    assert GROUP_RECORDS.decode(KEY, None) == (COMMIT_KEY, None)


def test_a_transaction_round_trips() -> None:
    key, value = TransactionLogKey(transactional_id="x"), TransactionLogValue(producer_id=5, producer_epoch=2)
    assert TRANSACTION_RECORDS.decode(encode_key(key), encode_value(value)) == (key, value)


def test_a_record_of_another_type_is_left_alone() -> None:
    assert GROUP_RECORDS.decode(bytes.fromhex("7fff 00"), b"anything") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, VALUE),
        (b"\x00", VALUE),
        (KEY[:-1], VALUE),
        (KEY + b"\x00", VALUE),
        (KEY, b""),
        (KEY, VALUE[:-1]),
        (KEY, VALUE + b"\x00"),
        (KEY, b"\x00\x63" + VALUE[2:]),
    ],
)
def test_a_broken_record_is_refused(key: bytes | None, value: bytes) -> None:
    with pytest.raises(UnreadableRecord):
        GROUP_RECORDS.decode(key, value)


def test_every_type_is_known_by_its_number() -> None:
    assert GROUP_RECORDS.decode(encode_key(GroupMetadataKey(group="g")), None) is not None

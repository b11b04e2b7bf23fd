"""Control batches: transaction markers and the control records of the metadata log."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from protocol import control_records
from protocol.control_messages import voter_ids
from protocol.control_records import (
    ControlType,
    EndTxnMarker,
    Voter,
    control_batch,
    control_type,
    end_txn_marker,
    kraft_version,
    kraft_voters,
    leader_change,
    read_end_txn_marker,
    snapshot_footer,
    snapshot_header,
)
from protocol.errors import BrokerError, ErrorCode, ProtocolViolation
from protocol.record_builder import RecordBatchBuilder
from protocol.records import ATTRIBUTES_POSITION, HEADER_SIZE, iter_records, read_header, verify_crc


@pytest.mark.parametrize(("committed", "key"), [(True, "00000001"), (False, "00000000")])
def test_transaction_marker(committed: bool, key: str) -> None:
    batch = end_txn_marker(
        committed=committed, producer_id=1 << 35, producer_epoch=3, coordinator_epoch=17, timestamp_ms=99
    )
    header = read_header(batch)
    assert verify_crc(batch)
    assert header.is_control
    assert header.is_transactional
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (1 << 35, 3, -1)
    assert (header.record_count, header.max_timestamp) == (1, 99)
    (record,) = iter_records(batch)
    assert record.key == bytes.fromhex(key)
    assert record.value == bytes.fromhex("0000" + "00000011")
    assert read_end_txn_marker(batch) == EndTxnMarker(committed, 17)


def test_other_control_batches_are_no_markers() -> None:
    assert read_end_txn_marker(control_batch([snapshot_footer()], timestamp_ms=1)) is None


@pytest.mark.parametrize("key", [None, b"", b"\x00\x00\x00"])
def test_a_control_record_needs_a_key(key: bytes | None) -> None:
    builder = RecordBatchBuilder(control=True)
    builder.append(b"\x00\x00\x00\x00\x00\x00", key=key)
    with pytest.raises(BrokerError) as caught:
        read_end_txn_marker(builder.build())
    assert caught.value.code is ErrorCode.INVALID_RECORD


@pytest.mark.parametrize("value", [None, b"", b"\x00\x00\x00\x00\x00", b"\xff\xff\x00\x00\x00\x01"])
def test_a_damaged_marker_is_invalid(value: bytes | None) -> None:
    builder = RecordBatchBuilder(control=True, transactional=True)
    builder.append(value, key=b"\x00\x00\x00\x01")
    with pytest.raises(BrokerError) as caught:
        read_end_txn_marker(builder.build())
    assert caught.value.code is ErrorCode.INVALID_RECORD


def test_marker_values_may_grow() -> None:
    """A later version may add fields behind those known here."""
    builder = RecordBatchBuilder(control=True, transactional=True)
    builder.append(b"\x00\x01" + b"\x00\x00\x00\x05" + b"more", key=b"\x00\x00\x00\x00")
    assert read_end_txn_marker(builder.build()) == EndTxnMarker(committed=False, coordinator_epoch=5)


@pytest.mark.parametrize("committed", [True, False])
def test_usual_bytes_are_read_as_all_others_are(committed: bool) -> None:
    """With any one byte of the record, or of the attributes, changed, the short way says what the long one says."""
    usual = end_txn_marker(
        committed=committed, producer_id=1, producer_epoch=3, coordinator_epoch=-2, timestamp_ms=99
    )
    for position in (ATTRIBUTES_POSITION + 1, *range(HEADER_SIZE, len(usual))):
        for value in (0, 1, 2, 8, 12, 32, 128, 255):
            batch = bytearray(usual)
            batch[position] = value
            with patch.object(control_records, "_USUAL_SIZE", -1):
                expected = read(batch)
            assert read(batch) == expected, (position, value)


def read(batch: bytearray) -> EndTxnMarker | ErrorCode | None:
    try:
        return read_end_txn_marker(batch)
    except BrokerError as refusal:
        return refusal.code


def test_control_types() -> None:
    assert [control_type(b"\x00\x00\x00" + bytes((kind,))) for kind in range(7)] == list(ControlType)
    assert control_type(b"\x00\x00\x00\x07") is None
    assert control_type(b"\x00\x00\xff\xff") is None
    assert control_type(b"\xff\xff\x00\x00") is None


def test_metadata_control_batch() -> None:
    """A snapshot's first batch holds several records; type in the key, version first in the value."""
    voters = [Voter(1, bytes(range(16)), (("CONTROLLER", "localhost", 9093),), 0, 1)]
    batch = control_batch(
        [snapshot_header(1_700_000_000_000), kraft_version(1), kraft_voters(voters)],
        timestamp_ms=5,
        base_offset=0,
        leader_epoch=4,
    )
    header = read_header(batch)
    assert header.is_control
    assert not header.is_transactional
    assert header.leader_epoch == 4
    records = list(iter_records(batch))
    assert [control_type(record.key or b"") for record in records] == [
        ControlType.SNAPSHOT_HEADER,
        ControlType.KRAFT_VERSION,
        ControlType.KRAFT_VOTERS,
    ]
    assert records[0].value == bytes.fromhex("0000" + "0000018bcfe56800" + "00")
    assert records[1].value == bytes.fromhex("0000" + "0001" + "00")
    assert records[2].value == (
        bytes.fromhex("0000" + "02" + "00000001")
        + bytes(range(16))
        + b"\x02\x0bCONTROLLER\x0alocalhost"
        + bytes.fromhex("2385" + "00" + "0000" + "0001" + "00" + "00" + "00")
    )


def test_leader_change() -> None:
    kind, value = leader_change(3, [3], [3])
    assert kind is ControlType.LEADER_CHANGE
    assert value == bytes.fromhex(
        "0000" + "00000003" + "02" + "00000003" + "00" + "02" + "00000003" + "00" + "00"
    )


VOTERS = [
    Voter(3, b"d" * 16, (("CONTROLLER", "localhost", 9093), ("OTHER", "h", 1)), 0, 1),
    Voter(1 << 20, b"e" * 16, (), 0, 1),
]


def control(*records: tuple[ControlType, bytes]) -> bytearray:
    return control_batch(records, timestamp_ms=0)


def test_the_voters_that_were_named_last() -> None:
    assert voter_ids(control(leader_change(1, [1, 2], [1]))) == (1, 2)
    assert voter_ids(control(kraft_version(1), kraft_voters(VOTERS))) == (3, 1 << 20)
    assert voter_ids(control(leader_change(1, [1, 2], [1]), kraft_voters(VOTERS))) == (3, 1 << 20)
    assert voter_ids(control(leader_change(5, [], []))) == ()
    assert voter_ids(control(snapshot_header(7), kraft_version(1))) is None


def test_the_voters_of_a_leader_change_with_directories() -> None:
    """Version 1 of the record, from kraft.version 1 on."""
    voter = bytes.fromhex("00000007") + b"d" * 16 + b"\0"
    value = bytes.fromhex("0001 00000007 02") + voter + b"\x02" + voter + b"\0"
    assert voter_ids(control((ControlType.LEADER_CHANGE, value))) == (7,)


@pytest.mark.parametrize(
    "record", [leader_change(1, [1, 2], [1]), kraft_voters(VOTERS)], ids=["leader", "voters"]
)
def test_voters_cut_short_are_a_violation(record: tuple[ControlType, bytes]) -> None:
    kind, value = record
    first = 11 if kind is ControlType.LEADER_CHANGE else 60
    for size in range(first):
        with pytest.raises(ProtocolViolation):
            voter_ids(control((kind, value[:size])))
    hostile = (
        value[:2] + (b"\0\0\0\1" if kind is ControlType.LEADER_CHANGE else b"") + b"\xff\xff\xff\xff\x0f"
    )
    with pytest.raises(ProtocolViolation):
        voter_ids(control((kind, hostile)))

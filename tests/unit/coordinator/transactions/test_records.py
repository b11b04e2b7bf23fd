"""Goal: records are those that Kafka 4.3 writes, in the version that the feature asks for, and read back as they were.

Method: bytes written out by hand after TransactionLogValue.json and TransactionLog.java; statuses and versions that no
coordinator writes are refused.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.internal_records import TRANSACTION_RECORDS, UnreadableRecord, encode_key, encode_value
from coordinator.shard import Effects
from coordinator.transactions import records
from coordinator.transactions.states import AT_REST, DECIDED, TransactionState
from coordinator.transactions.transaction import Transaction
from protocol.messages.records_transaction import TransactionLogKey, TransactionLogValue
from protocol.types import TopicPartition
from tests.support.transactions import ID, P0, P2, TransactionWorld

ONGOING = Transaction(
    TransactionState.ONGOING, 5, 6, 4, -1, 60_000, (P0, P2, TopicPartition("u", 1)), 0x10, 0x20, 2
)
FIXED = "00000000 00000005 0006 0000ea60 01"
PARTITIONS_0 = "00000002 0001 74 00000002 00000000 00000002 0001 75 00000001 00000001"
PARTITIONS_1 = "03 02 74 03 00000000 00000002 00 02 75 02 00000001 00"
TIMES = "0000000000000020 0000000000000010"
TAGS = "02 00 08 0000000000000004 02 02 0002"


def written(transaction: Transaction, level: int) -> tuple[bytes, bytes | None]:
    effects = Effects()
    records.propose(TransactionWorld(level=level).shard.state, ID, transaction, effects)
    ((key, value),) = effects.records
    return encode_key(key), None if value is None else encode_value(value)


def read(key: bytes, value: bytes | None) -> Transaction | None:
    state = TransactionWorld().shard.state
    record = TRANSACTION_RECORDS.decode(key, value)
    assert record is not None
    assert isinstance(record.key, TransactionLogKey)
    assert record.value is None or isinstance(record.value, TransactionLogValue)
    records.replay(state, record.key, record.value)
    return state.transactions.get(ID)


@pytest.mark.parametrize("level", [1, 2])
def test_a_record_in_version_1(level: int) -> None:
    key, value = written(ONGOING, level)
    assert key == b"\x00\x00\x00\x06orders"
    assert value == bytes.fromhex("0001" + FIXED + PARTITIONS_1 + TIMES + TAGS)
    assert read(key, value) == ONGOING


def test_a_record_in_version_0_has_what_there_is_a_field_for() -> None:
    key, value = written(ONGOING._replace(client_version=0), 0)
    assert value == bytes.fromhex("0000" + FIXED + PARTITIONS_0 + TIMES)
    assert read(key, value) == ONGOING._replace(previous_producer_id=-1, client_version=0)


def test_a_client_that_bumps_epochs_is_written_in_version_1_whatever_the_feature_says() -> None:
    _, value = written(ONGOING, 0)
    assert value is not None
    assert value[:2] == b"\x00\x01"


def test_an_empty_id_has_no_list_of_partitions_and_a_complete_one_an_empty_one() -> None:
    empty = ONGOING._replace(state=TransactionState.EMPTY, partitions=(), client_version=0)
    _, value = written(empty, 0)
    assert value == bytes.fromhex("0000" + FIXED[:-2] + "00" + "ffffffff" + TIMES)
    _, value = written(empty._replace(state=TransactionState.COMPLETE_ABORT), 0)
    assert value == bytes.fromhex("0000" + FIXED[:-2] + "05" + "00000000" + TIMES)


def test_a_tombstone_removes_the_id() -> None:
    effects = Effects()
    records.propose_removal(ID, effects)
    ((key, value),) = effects.records
    assert value is None
    assert read(encode_key(key), None) is None


@pytest.mark.parametrize("status", [-1, 6, 7, 8, 127])
def test_a_status_that_no_id_is_in_is_not_read(status: int) -> None:
    value = TransactionLogValue(transaction_status=status)
    with pytest.raises(UnreadableRecord):
        read(encode_key(TransactionLogKey(transactional_id=ID)), encode_value(value))


def test_a_version_that_is_not_known_is_not_read() -> None:
    key, value = written(ONGOING, 2)
    assert value is not None
    with pytest.raises(UnreadableRecord):
        read(key, b"\x00\x02" + value[2:])


PARTITIONS = st.lists(
    st.builds(TopicPartition, st.sampled_from(["a", "b", "c"]), st.integers(0, 5)), unique=True
)


@given(st.sampled_from(sorted(AT_REST | DECIDED | {TransactionState.ONGOING})), PARTITIONS, st.integers(0, 2))
def test_what_is_written_is_what_a_restart_finds(
    state: TransactionState, partitions: list[TopicPartition], level: int
) -> None:
    if state is TransactionState.EMPTY:
        partitions = []
    partitions.sort()  # records have them by topic
    transaction = ONGOING._replace(state=state, partitions=tuple(partitions), next_producer_id=9)
    assert read(*written(transaction, level)) == transaction

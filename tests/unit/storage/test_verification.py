"""Goal: the first batch of a transaction is written only while its coordinator's word for it still holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol.errors import BrokerError, ErrorCode
from storage.fs.memory import MemoryFileSystem
from storage.producer_state import ProducerStateManager
from storage.verification import Verification

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
DIRECTORY = "/orders-0"
LAST_SEQUENCE = 2**31 - 1


class Partition:
    """Batches of one record and markers, checked and noted as the log does; producer 7."""

    def __init__(self, *, demanded: bool = True) -> None:
        fs = MemoryFileSystem()
        fs.makedirs(DIRECTORY)
        self.manager = ProducerStateManager(fs, DIRECTORY, demands_verification=demanded)
        self.end = 0

    def start(self, sequence: int = 0, *, epoch: int = 0, version: int = 2) -> Verification | None:
        return self.manager.start_verification(7, epoch, sequence, bumps_epoch=version == 2, now_ms=NOW_MS)

    def asked(self, sequence: int = 0, *, epoch: int = 0, version: int = 2) -> Verification:
        verification = self.start(sequence, epoch=epoch, version=version)
        assert verification is not None
        return verification

    def admit(self, verification: Verification, *, epoch: int = 0) -> None:
        self.manager.admit(7, epoch, verification)

    def write(self, sequence: int = 0, *, epoch: int = 0, txn: bool = True) -> bool:
        """Whether the batch was new."""
        if self.manager.check(7, epoch, sequence, sequence, txn) is not None:
            return False
        self.manager.update(7, epoch, sequence, sequence, self.end, self.end, NOW_MS, txn)
        self.end += 1
        return True

    def begin(self, sequence: int = 0, *, epoch: int = 0, version: int = 2) -> None:
        """A transaction in good order."""
        self.admit(self.asked(sequence, epoch=epoch, version=version), epoch=epoch)
        assert self.write(sequence, epoch=epoch)

    def mark(self, *, epoch: int = 0, version: int = 0, committed: bool = False) -> None:
        self.manager.check_marker(7, epoch, 0, version)
        self.manager.update_marker(7, epoch, 0, self.end, NOW_MS, committed=committed)
        self.end += 1
        self.manager.on_high_watermark(self.end)


@pytest.fixture
def partition() -> Partition:
    return Partition()


def refused(code: ErrorCode, call: Callable[[], object]) -> None:
    with pytest.raises(BrokerError) as refusal:
        call()
    assert refusal.value.code is code


NOT_VERIFIED = ErrorCode.INVALID_TXN_STATE
OUT_OF_ORDER = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
FENCED = ErrorCode.INVALID_PRODUCER_EPOCH


def test_nothing_is_written_unasked(partition: Partition) -> None:
    refused(NOT_VERIFIED, partition.write)
    partition.start()
    refused(NOT_VERIFIED, partition.write)


def test_plain_batches_need_nobody(partition: Partition) -> None:
    assert partition.write(0, txn=False)
    assert partition.write(1, txn=False)


def test_the_coordinators_word_lets_the_first_batch_in_and_that_the_next(partition: Partition) -> None:
    partition.begin()
    assert partition.start(1) is None  # open: nobody is asked
    assert partition.write(1)
    assert len(partition.manager.verifications) == 0


def test_a_marker_makes_the_coordinators_word_void(partition: Partition) -> None:
    verification = partition.asked(version=1)
    partition.mark()
    refused(NOT_VERIFIED, lambda: partition.admit(verification))
    refused(NOT_VERIFIED, partition.write)
    assert partition.manager.first_unstable_offset is None


def test_a_marker_that_bumped_the_epoch_fences_who_waits(partition: Partition) -> None:
    verification = partition.asked(epoch=3)
    partition.mark(epoch=4, version=2)
    refused(FENCED, lambda: partition.admit(verification, epoch=3))
    refused(FENCED, lambda: partition.write(epoch=3))
    refused(FENCED, lambda: partition.start(epoch=3))


def test_a_late_word_does_not_count_for_the_question_asked_since(partition: Partition) -> None:
    """A transaction is aborted and the next one begins while the first question is under way (ABA)."""
    late = partition.asked(version=1)
    partition.mark()
    partition.asked(version=1)
    refused(NOT_VERIFIED, lambda: partition.admit(late))
    refused(NOT_VERIFIED, partition.write)


def test_the_word_for_a_transaction_lets_nothing_late_into_the_next(partition: Partition) -> None:
    """Two requests asked at the same time, the first as it was sent again. Its offsets have no sequence that tells."""
    first = partition.asked(version=1)
    again = partition.asked(version=1)
    partition.admit(again)
    partition.write()
    partition.mark()
    partition.begin(1, version=1)
    with pytest.raises(BrokerError, match="INVALID_TXN_STATE"):
        partition.admit(first)


def test_the_word_that_a_marker_made_void_lets_nothing_into_the_next_transaction(
    partition: Partition,
) -> None:
    late = partition.asked(version=1)
    partition.mark()
    partition.begin(version=1)
    with pytest.raises(BrokerError, match="INVALID_TXN_STATE"):
        partition.admit(late)


def test_who_asked_with_others_goes_on_once_they_have_begun(partition: Partition) -> None:
    slower = partition.asked(1)
    partition.begin()
    partition.admit(slower)
    assert partition.write(1)


def test_the_marker_of_the_last_transaction_leaves_the_question_about_the_next_alone(
    partition: Partition,
) -> None:
    """Under version 2 the marker has the epoch of the next transaction, whose first batch may be faster."""
    partition.begin(epoch=3)
    verification = partition.asked(epoch=4)
    partition.mark(epoch=4, version=2)
    partition.admit(verification, epoch=4)
    assert partition.write(epoch=4)


def test_under_version_1_every_marker_counts(partition: Partition) -> None:
    verification = partition.asked(epoch=4, version=1)
    partition.mark(epoch=4)
    refused(NOT_VERIFIED, lambda: partition.admit(verification, epoch=4))


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_client_that_goes_back_to_version_1_is_not_spared_by_its_marker(
    partition: Partition, epoch: int
) -> None:
    """Its last transaction of version 2 asked, and nothing came of it: the question stands."""
    partition.asked(epoch=0, version=2)
    late = partition.asked(epoch=epoch, version=1)
    partition.mark(epoch=epoch)
    with pytest.raises(BrokerError, match="INVALID_TXN_STATE"):
        partition.admit(late, epoch=epoch)


def test_requests_that_ask_at_the_same_time_share_the_question(partition: Partition) -> None:
    first, second = partition.asked(0), partition.asked(1)
    assert first is second
    partition.admit(first)
    assert partition.write(0)
    partition.admit(second)  # the transaction is open by now
    assert partition.write(1)


def test_an_open_transaction_of_an_older_epoch_vouches_for_nobody(partition: Partition) -> None:
    partition.begin(epoch=1)
    refused(NOT_VERIFIED, lambda: partition.write(epoch=2))
    partition.begin(epoch=2)
    assert partition.write(1, epoch=2)


def test_a_word_for_an_older_epoch_does_not_count_for_a_newer_one(partition: Partition) -> None:
    partition.admit(partition.asked(epoch=1), epoch=1)
    partition.asked(epoch=2)
    refused(NOT_VERIFIED, lambda: partition.write(epoch=2))


def test_a_retry_is_recognised_though_its_transaction_is_over(partition: Partition) -> None:
    partition.begin(version=1)
    partition.mark(committed=True)
    assert not partition.write(0)


def test_a_gap_is_told_only_to_who_may_write(partition: Partition) -> None:
    partition.begin(version=1)
    partition.mark()
    refused(NOT_VERIFIED, lambda: partition.write(5))
    partition.admit(partition.asked(5, version=1))
    refused(OUT_OF_ORDER, lambda: partition.write(5))


def test_a_coordinators_batches_need_the_word_as_well(partition: Partition) -> None:
    """Offsets that a group commits in a transaction: they have no sequences."""
    manager = partition.manager
    refused(NOT_VERIFIED, lambda: manager.check_coordinator(7, 0, True))
    manager.check_coordinator(7, 0, False)
    partition.admit(partition.asked(-1))
    manager.check_coordinator(7, 0, True)
    manager.update(7, 0, -1, -1, 0, 0, NOW_MS, True)
    manager.check_coordinator(7, 0, True)
    refused(NOT_VERIFIED, lambda: manager.check_coordinator(7, 1, True))
    partition.end = 1
    partition.mark(epoch=1, version=2)
    refused(NOT_VERIFIED, lambda: manager.check_coordinator(7, 1, True))
    refused(FENCED, lambda: manager.check_coordinator(7, 0, True))


# -- sequences -------------------------------------------------------------------------------------------------


def test_a_later_sequence_waits_for_an_earlier_one_that_asked(partition: Partition) -> None:
    """The earlier batch is tried again; were the later one written, it would be out of order for ever."""
    partition.asked(10, version=1)
    partition.admit(partition.asked(11, version=1))
    refused(OUT_OF_ORDER, lambda: partition.write(11))
    assert partition.write(10)
    assert partition.write(11)


def test_a_lower_sequence_that_asks_later_counts(partition: Partition) -> None:
    partition.asked(11, version=1)
    partition.admit(partition.asked(10, version=1))
    refused(OUT_OF_ORDER, lambda: partition.write(11))
    assert partition.write(10)


def test_sequences_of_an_older_epoch_are_forgotten(partition: Partition) -> None:
    partition.asked(0, epoch=1)
    partition.admit(partition.asked(9, epoch=2, version=1), epoch=2)
    refused(OUT_OF_ORDER, lambda: partition.write(10, epoch=2))
    partition.asked(3, epoch=1)  # a straggler: changes nothing
    refused(OUT_OF_ORDER, lambda: partition.write(10, epoch=2))


@pytest.mark.parametrize("sequence", [1, 10, LAST_SEQUENCE])
def test_an_unknown_producer_may_start_anywhere_but_under_version_2(sequence: int) -> None:
    older = Partition()
    older.admit(older.asked(sequence, version=1))
    assert older.write(sequence)
    partition = Partition()
    partition.admit(partition.asked(sequence))
    refused(OUT_OF_ORDER, lambda: partition.write(sequence))
    partition.asked(0)
    assert partition.write(0)


# -- the rest --------------------------------------------------------------------------------------------------


def test_without_the_demand_nobody_is_asked() -> None:
    partition = Partition(demanded=False)
    assert partition.write(0)
    partition.mark(epoch=1, version=2)
    verification = partition.asked(epoch=1)
    partition.mark(epoch=2, version=2)
    partition.admit(verification, epoch=2)
    assert partition.write(0, epoch=2)


def test_questions_that_lead_to_nothing_are_forgotten(partition: Partition) -> None:
    verification = partition.asked()
    partition.manager.remove_expired(NOW_MS + DAY_MS - 1)
    assert len(partition.manager.verifications) == 1
    partition.manager.remove_expired(NOW_MS + DAY_MS)
    assert len(partition.manager.verifications) == 0
    refused(NOT_VERIFIED, lambda: partition.admit(verification))

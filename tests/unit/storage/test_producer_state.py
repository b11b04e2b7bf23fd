"""Goal: retries are recognised, gaps and fenced producers refused, transactions kept track of, as Kafka does."""

from collections.abc import Callable

import pytest

from protocol.errors import BrokerError, ErrorCode
from storage import producer_snapshot
from storage.errors import NoSpace, StorageFailure
from storage.fs import OpenMode
from storage.fs.memory import MemoryFileSystem
from storage.producer import BatchMetadata
from storage.producer_snapshot import SnapshotEntry
from storage.producer_state import ProducerStateManager
from storage.txn_index import AbortedTxn

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000
MAX_SEQUENCE = 2**31 - 1
DIRECTORY = "/orders-0"


class Writer:
    """Writes batches of ten records as the log does: check, then update at the log end."""

    def __init__(self, manager: ProducerStateManager) -> None:
        self.manager = manager
        self.end = 0

    def write(
        self,
        sequence: int,
        *,
        producer: int = 7,
        epoch: int = 0,
        count: int = 10,
        txn: bool = False,
        timestamp: int = NOW_MS,
    ) -> BatchMetadata | None:
        last = -1 if sequence < 0 else (sequence + count - 1) & MAX_SEQUENCE
        duplicate = self.manager.check(producer, epoch, sequence, last, txn)
        if duplicate is None:
            first = self.end
            self.end += count
            self.manager.update(producer, epoch, sequence, last, first, self.end - 1, timestamp, txn)
        return duplicate

    def mark(
        self,
        *,
        producer: int = 7,
        epoch: int = 0,
        committed: bool = True,
        coordinator: int = 0,
        version: int = 0,
    ) -> AbortedTxn | None:
        self.manager.check_marker(producer, epoch, coordinator, version)
        self.end += 1
        return self.manager.update_marker(
            producer, epoch, coordinator, self.end - 1, NOW_MS, committed=committed
        )


@pytest.fixture
def fs() -> MemoryFileSystem:
    fs = MemoryFileSystem()
    fs.makedirs(DIRECTORY)
    return fs


@pytest.fixture
def log(fs: MemoryFileSystem) -> Writer:
    return Writer(ProducerStateManager(fs, DIRECTORY))


def refused(code: ErrorCode, call: Callable[[], object]) -> None:
    with pytest.raises(BrokerError) as refusal:
        call()
    assert refusal.value.code is code


# -- sequences ---------------------------------------------------------------------------------------------


def test_sequences_continue(log: Writer) -> None:
    for sequence in range(0, 100, 10):
        assert log.write(sequence) is None
    assert log.end == 100


def test_an_unknown_producer_may_start_anywhere(log: Writer) -> None:
    log.write(500)
    log.write(510)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(530))


@pytest.mark.parametrize("sequence", [0, 9, 11, 20, MAX_SEQUENCE])
def test_a_gap_or_an_overlap_is_out_of_order(log: Writer, sequence: int) -> None:
    log.write(0)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(sequence, count=5))
    assert log.end == 10


def test_the_last_five_batches_are_recognised_and_no_more(log: Writer) -> None:
    for sequence in range(0, 60, 10):
        log.write(sequence)
    for sequence in range(10, 60, 10):
        assert log.write(sequence) == BatchMetadata(sequence, sequence + 9, sequence, sequence + 9, NOW_MS)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(0))
    assert log.end == 60
    assert log.write(60) is None


def test_a_retry_cut_differently_is_no_duplicate(log: Writer) -> None:
    log.write(0)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(0, count=9))
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(1, count=9))


@pytest.mark.parametrize("room", [0, 3, 9])
def test_sequences_wrap_to_0(log: Writer, room: int) -> None:
    first = MAX_SEQUENCE - room
    log.write(first)
    following = 9 - room
    assert log.write(first) == BatchMetadata(first, (first + 9) & MAX_SEQUENCE, 0, 9, NOW_MS)
    assert log.write(following) is None
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(following + 5))


def test_producers_do_not_mix(log: Writer) -> None:
    log.write(0, producer=1)
    log.write(0, producer=2)
    assert log.write(0, producer=1) == BatchMetadata(0, 9, 0, 9, NOW_MS)
    assert log.write(0, producer=2) == BatchMetadata(0, 9, 10, 19, NOW_MS)


# -- epochs ------------------------------------------------------------------------------------------------


def test_an_older_epoch_is_fenced(log: Writer) -> None:
    log.write(0, epoch=3)
    refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: log.write(10, epoch=2))
    refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: log.write(0, epoch=2))


def test_a_newer_epoch_starts_at_0_and_forgets_the_batches_of_the_old(log: Writer) -> None:
    log.write(0)
    log.write(10)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(20, epoch=1))
    assert log.write(0, epoch=1) is None
    assert log.write(0, epoch=1) == BatchMetadata(0, 9, 20, 29, NOW_MS)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(20, epoch=1))


def test_a_check_changes_nothing(log: Writer) -> None:
    log.manager.check(7, 5, 0, 9, True)
    assert not log.manager.producers
    log.write(0)
    log.manager.check(7, 5, 0, 9, True)
    log.manager.check_marker(7, 5, 5, 2)
    assert log.write(10) is None
    assert log.manager.first_unstable_offset is None


def test_what_a_coordinator_writes_has_no_sequences_and_obeys_epochs(log: Writer) -> None:
    manager = log.manager
    manager.check_coordinator(7, 0, True)
    manager.update(7, 0, -1, -1, 0, 3, NOW_MS, True)
    manager.check_coordinator(7, 0, True)
    manager.check_coordinator(7, 1, True)
    refused(ErrorCode.INVALID_TXN_STATE, lambda: manager.check_coordinator(7, 0, False))
    manager.update(7, 1, -1, -1, 4, 5, NOW_MS, True)
    refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: manager.check_coordinator(7, 0, True))
    # Should the same id write to the partition itself, it begins at 0.
    manager.check(7, 1, 0, 9, True)


# -- transactions ------------------------------------------------------------------------------------------


def test_an_open_transaction_is_unstable_until_its_marker_is_replicated(log: Writer) -> None:
    log.write(0, producer=1)
    log.write(0, txn=True)
    log.write(10, txn=True)
    assert log.manager.first_unstable_offset == 10
    log.manager.on_high_watermark(30)
    assert log.manager.first_unstable_offset == 10
    assert log.mark() is None
    assert log.manager.first_unstable_offset == 10
    log.manager.on_high_watermark(30)  # exclusive: the marker at 30 is not below it
    assert log.manager.first_unstable_offset == 10
    log.manager.on_high_watermark(31)
    assert log.manager.first_unstable_offset is None
    assert not log.manager.unreplicated


def test_sequences_continue_over_a_marker_of_the_same_epoch(log: Writer) -> None:
    log.write(0, txn=True)
    log.mark()
    assert log.write(0, txn=True) is not None
    assert log.write(10, txn=True) is None


def test_a_marker_with_a_bumped_epoch_starts_the_sequences_anew(log: Writer) -> None:
    log.write(0, txn=True)
    log.mark(epoch=1, version=2)
    refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: log.write(10, epoch=0, txn=True))
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: log.write(10, epoch=1, txn=True))
    assert log.write(0, epoch=1, txn=True) is None


def test_the_oldest_of_several_transactions_counts_whatever_the_order_they_end_in(log: Writer) -> None:
    manager = log.manager
    for producer in (1, 2, 3):
        log.write(0, producer=producer, txn=True)
    assert manager.first_unstable_offset == 0
    log.mark(producer=2)  # at 30
    manager.on_high_watermark(log.end)
    assert manager.first_unstable_offset == 0
    log.mark(producer=3)  # at 31, not replicated yet
    log.mark(producer=1)  # at 32
    manager.on_high_watermark(32)
    assert manager.first_unstable_offset == 0
    log.write(10, producer=3, txn=True)  # at 33
    manager.on_high_watermark(33)
    assert manager.first_unstable_offset == 33


def test_the_oldest_may_be_open_while_younger_ones_await_replication(log: Writer) -> None:
    for producer in (1, 2, 3):
        log.write(0, producer=producer, txn=True)
    log.mark(producer=2)  # at 30
    log.mark(producer=3)  # at 31
    log.manager.on_high_watermark(31)
    assert log.manager.first_unstable_offset == 0


def test_the_oldest_may_be_the_last_to_be_decided(log: Writer) -> None:
    for producer in (1, 2, 3):
        log.write(0, producer=producer, txn=True)
    for producer in (3, 2, 1):
        log.mark(producer=producer)  # at 30, 31, 32
    log.manager.on_high_watermark(31)
    assert log.manager.first_unstable_offset == 0
    log.manager.on_high_watermark(33)
    assert log.manager.first_unstable_offset is None


def test_an_aborted_transaction_goes_to_the_index_with_what_is_stable_then(log: Writer) -> None:
    log.write(0, producer=1, txn=True)
    log.write(0, producer=2, txn=True)
    assert log.mark(producer=1, committed=False) == AbortedTxn(1, 0, 20, 10)
    assert log.mark(producer=2, committed=False) == AbortedTxn(2, 10, 21, 22)


def test_a_marker_for_an_empty_transaction_leaves_no_trace_in_the_index(log: Writer) -> None:
    assert log.mark(committed=False) is None
    log.write(0, txn=True)
    assert log.mark(committed=False) is not None
    assert log.mark(committed=False) is None
    assert log.manager.producers[7].txn_first_offset == -1


def test_a_plain_batch_inside_a_transaction_is_refused(log: Writer) -> None:
    log.write(0, txn=True)
    refused(ErrorCode.INVALID_TXN_STATE, lambda: log.write(10))
    refused(ErrorCode.INVALID_TXN_STATE, lambda: log.write(0, epoch=1))
    log.mark()
    assert log.write(10) is None


@pytest.mark.parametrize(
    ("epoch", "version", "is_open", "accepted"),
    [
        (2, 0, True, False),
        (3, 0, True, True),
        (4, 0, True, True),
        (2, 2, True, False),
        (3, 2, True, False),  # a late marker of the transaction before
        (4, 2, True, True),
        (2, 2, False, False),
        (3, 2, False, True),  # the same marker again
        (4, 2, False, True),
        (3, 0, False, True),
    ],
)
def test_which_markers_are_stale(
    log: Writer, epoch: int, version: int, is_open: bool, accepted: bool
) -> None:
    log.write(0, epoch=3, txn=is_open)
    if accepted:
        log.mark(epoch=epoch, version=version)
        assert log.manager.producers[7].epoch == epoch
    else:
        refused(ErrorCode.INVALID_PRODUCER_EPOCH, lambda: log.mark(epoch=epoch, version=version))


def test_a_transaction_in_the_last_epoch_can_be_ended(log: Writer) -> None:
    """There is no epoch above it for the marker."""
    log.write(0, epoch=2**15 - 1, txn=True)
    log.mark(epoch=2**15 - 1, version=2)
    assert log.manager.first_unstable_offset == 0
    log.manager.on_high_watermark(log.end)
    assert log.manager.first_unstable_offset is None


def test_a_marker_from_a_deposed_coordinator_is_refused(log: Writer) -> None:
    log.mark(coordinator=5)
    log.mark(coordinator=5)
    refused(ErrorCode.TRANSACTION_COORDINATOR_FENCED, lambda: log.mark(coordinator=4))


# -- expiry ------------------------------------------------------------------------------------------------


def test_idle_producers_are_forgotten_but_never_one_in_a_transaction(log: Writer) -> None:
    log.write(0, producer=1, timestamp=NOW_MS)
    log.write(0, producer=2, timestamp=NOW_MS + 1)
    log.write(0, producer=3, timestamp=0, txn=True)
    assert log.manager.remove_expired(NOW_MS + DAY_MS - 1) == 0
    assert log.manager.remove_expired(NOW_MS + DAY_MS) == 1
    assert sorted(log.manager.producers) == [2, 3]
    assert log.write(500, producer=1) is None


# -- snapshots ---------------------------------------------------------------------------------------------


def reopened(fs: MemoryFileSystem) -> ProducerStateManager:
    return ProducerStateManager(fs, DIRECTORY, file_names=fs.listdir(DIRECTORY))


def test_a_snapshot_carries_the_last_batch_the_epochs_and_the_open_transactions(
    fs: MemoryFileSystem, log: Writer
) -> None:
    for sequence in range(0, 30, 10):
        log.write(sequence, producer=1, epoch=4)
    log.write(0, producer=2, txn=True)
    log.mark(producer=3, coordinator=6)
    log.write(0, producer=4, txn=True)
    path = log.manager.take_snapshot(log.end)
    assert path == f"{DIRECTORY}/{producer_snapshot.file_name(log.end)}"
    assert producer_snapshot.decode(fs.read_file(path)) == [
        SnapshotEntry(1, 4, 29, 29, 9, NOW_MS, -1, -1),
        SnapshotEntry(2, 0, 9, 39, 9, NOW_MS, -1, 30),
        SnapshotEntry(3, 0, -1, -1, 0, NOW_MS, 6, -1),
        SnapshotEntry(4, 0, 9, 50, 9, NOW_MS, -1, 41),
    ]

    again = Writer(reopened(fs))
    assert again.manager.reload(log.end, NOW_MS) == log.end
    again.end = log.end
    assert again.manager.first_unstable_offset == 30
    assert again.write(20, producer=1, epoch=4) == BatchMetadata(20, 29, 20, 29, NOW_MS)
    refused(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, lambda: again.write(10, producer=1, epoch=4))
    assert again.write(30, producer=1, epoch=4) is None
    refused(ErrorCode.TRANSACTION_COORDINATOR_FENCED, lambda: again.mark(producer=3, coordinator=5))
    assert again.write(0, producer=3) is None
    aborted = again.mark(producer=2, committed=False)
    assert aborted == AbortedTxn(2, 30, again.end - 1, 41)


def test_a_batch_that_wrapped_is_recognised_after_a_restart(fs: MemoryFileSystem, log: Writer) -> None:
    log.write(MAX_SEQUENCE - 3)
    log.manager.take_snapshot(log.end)
    again = Writer(reopened(fs))
    again.manager.reload(log.end, NOW_MS)
    assert again.write(MAX_SEQUENCE - 3) == BatchMetadata(MAX_SEQUENCE - 3, 5, 0, 9, NOW_MS)
    assert again.write(6) is None


def test_a_snapshot_is_taken_once_per_offset_and_never_backwards(fs: MemoryFileSystem, log: Writer) -> None:
    log.write(0)
    assert log.manager.take_snapshot(10) is not None
    assert log.manager.take_snapshot(10) is None
    assert log.manager.take_snapshot(9) is None
    assert log.manager.take_snapshot(20) is not None
    assert log.manager.snapshot_offsets == [10, 20]


def test_a_full_disk_leaves_no_snapshot_that_counts(fs: MemoryFileSystem, log: Writer) -> None:
    class FullFile:
        def append(self, data: bytes) -> int:
            raise NoSpace("/", "full")

        def close(self) -> None:
            pass

    log.write(0)
    log.manager.take_snapshot(10)
    real_open = fs.open

    def open_full(path: str, mode: OpenMode) -> FullFile:
        real_open(path, mode)
        return FullFile()

    fs.open = open_full  # type: ignore[assignment,method-assign]
    with pytest.raises(StorageFailure):
        log.manager.take_snapshot(20)
    fs.open = real_open  # type: ignore[method-assign]
    assert log.manager.snapshot_offsets == [10]
    assert fs.listdir(DIRECTORY) == [producer_snapshot.file_name(10)]
    assert reopened(fs).reload(20, NOW_MS) == 10
    assert log.manager.take_snapshot(20) is not None


def test_reload_takes_the_newest_sound_snapshot_not_above_the_log_end(
    fs: MemoryFileSystem, log: Writer
) -> None:
    for sequence in range(0, 40, 10):
        log.write(sequence)
        log.manager.take_snapshot(log.end)
    damaged = fs.open(f"{DIRECTORY}/{producer_snapshot.file_name(30)}", OpenMode.CREATE)
    damaged.append(b"\0\1torn")

    manager = reopened(fs)
    assert manager.snapshot_offsets == [10, 20, 30, 40]
    assert manager.reload(35, NOW_MS) == 20
    assert manager.snapshot_offsets == [10, 20]
    assert fs.listdir(DIRECTORY) == [producer_snapshot.file_name(10), producer_snapshot.file_name(20)]
    assert manager.producers[7].next_sequence == 20

    assert manager.reload(9, NOW_MS) is None
    assert not manager.producers and not manager.snapshot_offsets and not fs.listdir(DIRECTORY)


def test_reload_forgets_expired_producers_and_what_came_later(fs: MemoryFileSystem, log: Writer) -> None:
    log.write(0, producer=1, timestamp=NOW_MS - DAY_MS)
    log.write(0, producer=2)
    log.manager.take_snapshot(log.end)
    log.write(0, producer=3, txn=True)
    log.mark(producer=3)
    log.write(10, producer=3, txn=True)
    assert log.manager.reload(20, NOW_MS) == 20
    assert list(log.manager.producers) == [2]
    assert log.manager.first_unstable_offset is None
    assert not log.manager.unreplicated


def test_reset_leaves_nothing(fs: MemoryFileSystem, log: Writer) -> None:
    log.write(0, txn=True)
    log.manager.take_snapshot(10)
    log.manager.reset()
    assert not log.manager.producers
    assert log.manager.first_unstable_offset is None
    assert fs.listdir(DIRECTORY) == []
    assert log.manager.take_snapshot(5) is not None


def test_a_deleted_segments_snapshot_is_handed_over(fs: MemoryFileSystem, log: Writer) -> None:
    log.manager.take_snapshot(10)
    log.manager.take_snapshot(20)
    assert log.manager.detach_snapshot(15) is None
    assert log.manager.detach_snapshot(99) is None
    path = log.manager.detach_snapshot(10)
    assert path is not None and fs.exists(path)
    assert log.manager.snapshot_offsets == [20]


@pytest.mark.parametrize(
    ("snapshots", "bases", "kept"),
    [
        ([10, 20, 30], [0, 10, 20, 30], [10, 20, 30]),
        ([10, 20, 30, 35], [0, 10, 20, 30], [10, 20, 30, 35]),  # a clean stop at 35
        ([10, 15, 20, 32, 35], [0, 20, 30], [20, 32, 35]),  # only the log end tells which is the stop's
        ([10, 25], [0, 20, 30], []),
        ([10, 25], [], [10, 25]),
    ],
)
def test_stray_snapshots_are_removed(
    fs: MemoryFileSystem, snapshots: list[int], bases: list[int], kept: list[int]
) -> None:
    manager = ProducerStateManager(fs, DIRECTORY)
    for offset in snapshots:
        manager.take_snapshot(offset)
    manager.remove_stray_snapshots(set(bases))
    assert manager.snapshot_offsets == kept
    assert fs.listdir(DIRECTORY) == [producer_snapshot.file_name(offset) for offset in kept]

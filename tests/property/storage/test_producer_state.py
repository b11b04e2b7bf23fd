"""Goal: over any history of batches, markers, truncations and restarts, producer state says what the log says.

Method: a log as a plain list of what was written. What must be refused, what counts as a retry, and which offset is
the first unstable one are worked out from that list each time, by rules written down here a second time.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from protocol.errors import BrokerError, ErrorCode
from storage.fs.memory import MemoryFileSystem
from storage.producer_state import ProducerStateManager

DIRECTORY = "/t-0"
NOW_MS = 1_000
MODULUS = 2**31

PRODUCERS = st.integers(1, 3)


@dataclass(frozen=True)
class Batch:
    """A data batch in the log; offsets and sequences inclusive."""

    producer: int
    epoch: int
    first: int
    last: int
    sequence: int
    txn: bool

    @property
    def last_sequence(self) -> int:
        return (self.sequence + self.last - self.first) % MODULUS


@dataclass(frozen=True)
class Marker:
    """A transaction marker in the log."""

    producer: int
    epoch: int
    first: int
    committed: bool

    @property
    def last(self) -> int:
        return self.first


Entry = Batch | Marker


class History:
    """The log as a list, and everything that can be concluded from it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    @property
    def end(self) -> int:
        return self.entries[-1].last + 1 if self.entries else 0

    def epoch(self, producer: int) -> int:
        return max((entry.epoch for entry in self.entries if entry.producer == producer), default=-1)

    def batches(self, producer: int) -> list[Batch]:
        """The batches of the producer's newest epoch."""
        epoch = self.epoch(producer)
        return [
            entry
            for entry in self.entries
            if isinstance(entry, Batch) and entry.producer == producer and entry.epoch == epoch
        ]

    def next_sequence(self, producer: int) -> int:
        batches = self.batches(producer)
        return (batches[-1].last_sequence + 1) % MODULUS if batches else 0

    def open_since(self, producer: int) -> int | None:
        first = None
        for entry in self.entries:
            if entry.producer == producer:
                if isinstance(entry, Marker):
                    first = None
                elif entry.txn and first is None:
                    first = entry.first
        return first

    def first_unstable(self, decided_below: int) -> int | None:
        """A transaction is unstable from its first record until its marker is below `decided_below`."""
        first: dict[int, int] = {}
        unstable: list[int] = []
        for entry in self.entries:
            if isinstance(entry, Batch) and entry.txn:
                first.setdefault(entry.producer, entry.first)
            elif isinstance(entry, Marker) and entry.producer in first:
                begun = first.pop(entry.producer)
                if entry.first >= decided_below:
                    unstable.append(begun)
        return min([*unstable, *first.values()], default=None)


class ProducerHistory(RuleBasedStateMachine):
    """Random life of one partition."""

    def __init__(self) -> None:
        super().__init__()
        self.fs = MemoryFileSystem()
        self.fs.makedirs(DIRECTORY)
        self.manager = ProducerStateManager(self.fs, DIRECTORY)
        self.history = History()
        self.high_watermark = 0
        self.snapshot_at = 0
        """What the state was loaded from: a snapshot holds no decided transactions, replicated or not."""
        self.retained: dict[int, int] = {}
        """How many batches of each producer can still be recognised: a snapshot keeps the last only."""

    @initialize(near_the_wrap=st.booleans())
    def start(self, near_the_wrap: bool) -> None:
        if near_the_wrap:
            self._write(Batch(1, 0, 0, 1, MODULUS - 9, False))

    # -- appends -----------------------------------------------------------------------------------------

    @rule(
        producer=PRODUCERS,
        epoch_step=st.sampled_from([0, 0, 0, 1, -1]),
        sequence_step=st.sampled_from([0, 0, 0, 0, 1, -1]),
        from_zero=st.booleans(),
        count=st.integers(1, 4),
        txn=st.booleans(),
    )
    def append(  # what a producer may send, most of it acceptable
        self, producer: int, epoch_step: int, sequence_step: int, from_zero: bool, count: int, txn: bool
    ) -> None:
        history = self.history
        known = history.epoch(producer)
        epoch = max(known + epoch_step, 0)
        due = history.next_sequence(producer) if epoch == known else 0
        sequence = 0 if from_zero else (due + sequence_step) % MODULUS
        batch = Batch(producer, epoch, history.end, history.end + count - 1, sequence, txn)
        self._offer(batch, self._refusal(batch, known, due))

    @rule(producer=PRODUCERS, back=st.integers(1, 8))
    def retry(self, producer: int, back: int) -> None:
        batches = self.history.batches(producer)
        if len(batches) < back:
            return
        original = batches[-back]
        duplicate = None
        code = None
        try:
            duplicate = self.manager.check(
                producer, original.epoch, original.sequence, original.last_sequence, original.txn
            )
        except BrokerError as error:
            code = error.code
        if back <= self.retained[producer]:
            assert duplicate is not None
            assert (duplicate.first_offset, duplicate.last_offset) == (original.first, original.last)
        else:
            assert code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER

    @rule(producer=PRODUCERS, epoch_step=st.sampled_from([0, 0, 1, -1]), version=st.sampled_from([0, 2]))
    def end_transaction(self, producer: int, epoch_step: int, version: int) -> None:
        history = self.history
        known = history.epoch(producer)
        is_open = history.open_since(producer) is not None
        marker = Marker(producer, max(known + epoch_step, 0), history.end, committed=bool(history.end % 2))
        stale = marker.epoch < known or (version == 2 and marker.epoch == known and is_open)
        try:
            self.manager.check_marker(producer, marker.epoch, 0, version)
        except BrokerError as error:
            assert error.code is ErrorCode.INVALID_PRODUCER_EPOCH and stale
        else:
            assert not stale
            self._write(marker)

    def _refusal(self, batch: Batch, known: int, due: int) -> ErrorCode | None:
        if batch.epoch < known:
            return ErrorCode.INVALID_PRODUCER_EPOCH
        if known >= 0 and batch.sequence != due:
            return ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
        if self.history.open_since(batch.producer) is not None and not batch.txn:
            return ErrorCode.INVALID_TXN_STATE
        return None

    def _offer(self, batch: Batch, refusal: ErrorCode | None) -> None:
        try:
            duplicate = self.manager.check(
                batch.producer, batch.epoch, batch.sequence, batch.last_sequence, batch.txn
            )
        except BrokerError as error:
            assert error.code is refusal
            return
        if duplicate is None:
            assert refusal is None
            self._write(batch)
        else:
            assert refusal is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
            assert any(
                (known.sequence, known.last_sequence, known.first, known.last) == duplicate[:4]
                for known in self.history.batches(batch.producer)
            )

    # -- everything else -----------------------------------------------------------------------------------

    @rule(lag=st.integers(0, 6))
    def replicate(self, lag: int) -> None:
        self.high_watermark = max(self.high_watermark, self.history.end - lag)
        self.manager.on_high_watermark(self.high_watermark)

    @rule()
    def snapshot(self) -> None:
        self.manager.take_snapshot(self.history.end)

    @rule(keep=st.integers(0, 20))
    def truncate_or_restart(self, keep: int) -> None:
        """Cut the log behind some entry (perhaps the last), with a new manager, then replay what is left."""
        history = self.history
        del history.entries[keep:]
        self.high_watermark = min(self.high_watermark, history.end)
        self.manager = ProducerStateManager(self.fs, DIRECTORY, file_names=self.fs.listdir(DIRECTORY))
        replay_from = self.manager.reload(history.end, NOW_MS)
        self.snapshot_at = replay_from or 0
        self.retained = {}
        for entry in history.entries:
            self._retain(entry, snapshotted=replay_from is not None and entry.first < replay_from)
            if replay_from is None or entry.first >= replay_from:
                self._note(entry)
        self.manager.on_high_watermark(self.high_watermark)

    def _write(self, entry: Entry) -> None:
        self.history.entries.append(entry)
        self._retain(entry, snapshotted=False)
        self._note(entry)

    def _retain(self, entry: Entry, *, snapshotted: bool) -> None:
        if isinstance(entry, Batch):
            retained = 1 if snapshotted else min(self.retained.get(entry.producer, 0) + 1, 5)
            self.retained[entry.producer] = min(retained, len(self.history.batches(entry.producer)))

    def _note(self, entry: Entry) -> None:
        if isinstance(entry, Batch):
            last_sequence = (
                -1 if entry.sequence < 0 else (entry.sequence + entry.last - entry.first) & 0x7FFFFFFF
            )
            self.manager.update(
                entry.producer,
                entry.epoch,
                entry.sequence,
                last_sequence,
                entry.first,
                entry.last,
                NOW_MS,
                entry.txn,
            )
        else:
            self.manager.update_marker(
                entry.producer, entry.epoch, 0, entry.first, NOW_MS, committed=entry.committed
            )

    @invariant()
    def the_first_unstable_offset_is_that_of_the_log(self) -> None:
        decided_below = max(self.high_watermark, self.snapshot_at)
        assert self.manager.first_unstable_offset == self.history.first_unstable(decided_below)

    @invariant()
    def epochs_sequences_and_transactions_are_those_of_the_log(self) -> None:
        for producer in (1, 2, 3):
            state = self.manager.producers.get(producer)
            if state is None:
                assert self.history.epoch(producer) == -1
            else:
                assert state.epoch == self.history.epoch(producer)
                assert state.next_sequence == self.history.next_sequence(producer)
                open_since = self.history.open_since(producer)
                assert state.txn_first_offset == (-1 if open_since is None else open_since)


TestProducerHistory = ProducerHistory.TestCase
TestProducerHistory.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)

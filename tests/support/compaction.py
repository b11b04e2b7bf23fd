"""A compacted log and the plain list of what was written to it, side by side.

`CompactedWorld` writes, cleans and reopens; `check` compares. What a log must still say after any number of passes:

- every record that is there is what was written at its offset;
- who reads committed records from the start to the end has, for each key, the last committed value;
- who reads all records meets, beyond what was cleaned, everything, and below, no record of an aborted transaction;
- a tombstone is not missing before it was kept for delete.retention.ms;
- what was cleaned has each key once; offsets, the log's end and what is known of producers did not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise

from protocol.compression import Codec
from protocol.control_records import end_txn_marker
from protocol.fetched import readable_batches
from protocol.record_builder import build_batch
from protocol.records import Record, iter_batches, iter_records, read_header, verify_crc
from protocol.types import Offset, ProducerId
from storage.cleaning.cleaner import Cleaner
from storage.cleaning.dirtiness import job_for, look_at
from storage.cleaning.swap import swap_at_once
from storage.config import LogConfig
from storage.flush import DeletePlan
from storage.fs import FileSystem
from storage.log import AppendOrigin, Log
from tests.support.logs import DIRECTORY, NOW_MS, flush, open_log, read

DELETE_RETENTION_MS = 1000
CONFIG = LogConfig(
    cleanup_policy=frozenset({"compact"}),
    segment_bytes=1200,
    index_interval_bytes=150,
    delete_retention_ms=DELETE_RETENTION_MS,
    retention_ms=-1,
)

_HEADERS = (("h", b"1"),)


@dataclass
class Written:
    """A record as it went into the log."""

    record: Record
    transaction: int | None = None
    """Number of its transaction, None outside of any."""
    cleaned_first_ms: int | None = None
    """When a pass covered it for the first time."""


@dataclass
class CompactedWorld:
    """One log and its model."""

    fs: FileSystem
    config: LogConfig = CONFIG
    now_ms: int = NOW_MS
    written: dict[Offset, Written] = field(default_factory=dict)
    outcomes: dict[int, bool | None] = field(default_factory=dict)
    """Of each transaction: committed, aborted, or open (None)."""
    open_transactions: dict[ProducerId, int] = field(default_factory=dict)
    sequences: dict[ProducerId, int] = field(default_factory=dict)
    cleaned_to: Offset | None = None
    removals: list[DeletePlan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log: Log = open_log(self.fs, self.config)[0]

    # -- doing -------------------------------------------------------------------------------------------

    def write(
        self,
        items: list[tuple[bytes | None, bytes | None]],
        *,
        producer_id: ProducerId = -1,
        transactional: bool = False,
        codec: Codec = Codec.NONE,
        times: list[int] | None = None,
    ) -> None:
        """Appends one batch of (key, value); a transactional one goes into the producer's open transaction."""
        moved = times or [0]
        records = [
            Record(
                place, self.now_ms + moved[place % len(moved)], key, value, _HEADERS if place % 3 == 2 else ()
            )
            for place, (key, value) in enumerate(items)
        ]
        transactional = transactional and producer_id >= 0
        sequence = self.sequences.get(producer_id, 0)
        batch = build_batch(
            records,
            codec=codec,
            producer_id=producer_id,
            producer_epoch=0 if producer_id >= 0 else -1,
            base_sequence=sequence if producer_id >= 0 else -1,
            transactional=transactional,
        )
        result = self.log.append(memoryview(batch), leader_epoch=0, now_ms=self.now_ms)
        if producer_id >= 0:
            self.sequences[producer_id] = sequence + len(records)
        transaction = None
        if transactional:
            transaction = self.open_transactions.setdefault(producer_id, len(self.outcomes))
            self.outcomes.setdefault(transaction, None)
        for record in records:
            offset = result.base_offset + record.offset
            self.written[offset] = Written(record._replace(offset=offset), transaction)

    def end(self, producer_id: ProducerId, *, committed: bool) -> None:
        """Writes a marker, whether or not the producer has an open transaction."""
        marker = end_txn_marker(
            committed=committed,
            producer_id=producer_id,
            producer_epoch=0,
            coordinator_epoch=0,
            timestamp_ms=self.now_ms,
        )
        result = self.log.append(
            memoryview(marker), leader_epoch=0, now_ms=self.now_ms, origin=AppendOrigin.COORDINATOR
        )
        self.log.producers.on_high_watermark(result.last_offset + 1)
        transaction = self.open_transactions.pop(producer_id, None)
        if transaction is not None:
            self.outcomes[transaction] = committed

    def configure(self, segment_bytes: int) -> None:
        """Changes how large a segment may get."""
        self.config = replace(self.config, segment_bytes=segment_bytes)
        self.log.configure(self.config)

    def roll(self) -> None:
        self.log.roll(self.now_ms)

    def clean(self, *, memory_bytes: int = 1 << 20) -> None:
        """One pass over all that may be cleaned."""
        flush(self.log)
        self.cleaned_to, removals = clean_once(
            self.fs,
            self.log,
            self.cleaned_to,
            self.last_stable_offset,
            self.now_ms,
            memory_bytes=memory_bytes,
        )
        self.removals += removals
        for offset, written in self.written.items():
            if offset < self.cleaned_to and written.cleaned_first_ms is None:
                written.cleaned_first_ms = self.now_ms

    def remove_replaced(self) -> None:
        """What a pass put aside goes for good."""
        for removal in self.removals:
            removal.run()
        self.removals.clear()

    def reopen(self, *, clean: bool = True, snapshots: bool = True) -> None:
        """Closes the log, or lets go of it after a flush, and opens it again, perhaps with no producer snapshots left,
        so that all is told from the batches.
        """
        if clean:
            self.log.close()
        else:
            flush(self.log)
            self.log.release()
        self.removals.clear()
        for name in () if snapshots else self.fs.listdir(DIRECTORY):
            if name.endswith(".snapshot"):
                self.fs.remove(f"{DIRECTORY}/{name}")
        former = self.log
        self.log = reopened(self.fs, self, clean=clean)
        check_producers(former, self.log)

    @property
    def last_stable_offset(self) -> Offset:
        unstable = self.log.first_unstable_offset
        return self.log.log_end_offset if unstable is None else unstable

    def is_aborted(self, written: Written) -> bool:
        return written.transaction is not None and self.outcomes[written.transaction] is False

    def is_stable(self, written: Written) -> bool:
        return written.transaction is None or self.outcomes[written.transaction] is not None


def clean_once(
    fs: FileSystem,
    log: Log,
    cleaned_to: Offset | None,
    last_stable_offset: Offset,
    now_ms: int,
    *,
    memory_bytes: int = 1 << 20,
) -> tuple[Offset, list[DeletePlan]]:
    """One pass; returns up to where the log is clean now, and what removes the files that were replaced."""
    removals = []
    dirtiness = look_at(log, cleaned_to, last_stable_offset, now_ms)
    job = job_for(log, dirtiness, now_ms, memory_bytes=memory_bytes, load_factor=0.9)
    cleaner = Cleaner(fs, job)
    with closing(cleaner.run()) as groups:
        for group in groups:
            removal = swap_at_once(fs, log, group, now_ms)
            assert removal is not None
            removals.append(removal)
    assert cleaner.result is not None
    return cleaner.result.next_dirty_offset, removals


def reopened(fs: FileSystem, world: CompactedWorld, *, clean: bool = False) -> Log:
    """The log of `world` as another process finds it in `fs`."""
    log, _ = open_log(
        fs, world.config, recovery_point=world.log.recovery_point, clean=clean, directory=DIRECTORY
    )
    log.producers.on_high_watermark(log.log_end_offset)
    return log


# -- comparing -----------------------------------------------------------------------------------------------


def check(world: CompactedWorld, log: Log, *, cleaned_to: Offset | None = None) -> None:
    """Compares `log` with what was written; below `cleaned_to` it must be as a pass leaves it."""
    assert log.size_bytes == sum(segment.size_bytes for segment in log.segments)
    batches = _read_batches(log)
    for before, after in pairwise(batches):
        assert read_header(before).last_offset < read_header(after).base_offset
    there = {
        record.offset: record
        for batch in batches
        if not read_header(batch).is_control
        for record in iter_records(batch)
    }
    for offset, record in there.items():
        assert record == world.written[offset].record
        assert log.log_start_offset <= offset < log.log_end_offset
    assert log.log_end_offset == world.log.log_end_offset
    _check_nothing_is_lost(world, there)
    _check_committed(world, log)
    check_producers(world.log, log)
    if cleaned_to is not None:
        _check_clean(world, there, cleaned_to)


def _read_batches(log: Log) -> list[bytes]:
    batches: list[bytes] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        result = read(log, offset, 700)
        if result.region is None:
            break  # nothing is left up to the end
        for batch in iter_batches(result.region.read()):
            assert verify_crc(batch)
            if read_header(batch).last_offset >= offset:
                batches.append(bytes(batch))
        assert result.next_offset > offset
        offset = result.next_offset
    return batches


def _check_nothing_is_lost(world: CompactedWorld, there: dict[Offset, Record]) -> None:
    newest: dict[bytes | None, Offset] = {}
    for offset, written in world.written.items():
        if not world.is_aborted(written) and world.is_stable(written):
            newest[written.record.key] = offset
    for offset, written in world.written.items():
        if offset in there or world.is_aborted(written):
            continue
        assert world.is_stable(written), f"record {offset} of an open transaction is gone"
        record = written.record
        if record.key is None:
            assert written.cleaned_first_ms is not None or world.cleaned_to is None
        elif newest[record.key] == offset:
            assert record.value is None, f"the newest record of {record.key!r}, {offset}, is gone"
            first_ms = written.cleaned_first_ms
            assert first_ms is not None and world.now_ms >= first_ms + DELETE_RETENTION_MS, offset


def _check_committed(world: CompactedWorld, log: Log) -> None:
    """A consumer of committed records, from the start to the last stable offset."""
    table: dict[bytes | None, bytes | None] = {}
    upper = min(world.last_stable_offset, log.log_end_offset)
    offset = log.log_start_offset
    while offset < upper:
        result = read(log, offset, 500, upper)
        if result.region is None:
            break
        aborted = log.aborted_transactions(offset, result.next_offset)
        for fetched in readable_batches(result.region.read(), offset, aborted).batches:
            for record in iter_records(fetched.batch):
                if record.offset >= offset:
                    assert not world.is_aborted(world.written[record.offset]), f"{record.offset} was aborted"
                    table[record.key] = record.value
        offset = result.next_offset
    expected: dict[bytes | None, bytes | None] = {}
    for at, written in world.written.items():
        if at < upper and not world.is_aborted(written) and world.is_stable(written):
            expected[written.record.key] = written.record.value
    assert _rows(table) == _rows(expected)


def _rows(table: dict[bytes | None, bytes | None]) -> dict[bytes, bytes]:
    """What a table of keys and values holds; a record without a key or without a value is none."""
    return {key: value for key, value in table.items() if key is not None and value is not None}


def check_producers(before: Log, log: Log) -> None:
    """What is known of producers is what was known."""
    for producer_id, state in before.producers.producers.items():
        other = log.producers.producers[producer_id]
        assert other.epoch == state.epoch
        assert other.next_sequence == state.next_sequence, producer_id
        assert other.txn_first_offset == state.txn_first_offset
        if state.batches:
            assert other.batches[-1][1:4:2] == state.batches[-1][1:4:2]


def _check_clean(world: CompactedWorld, there: dict[Offset, Record], cleaned_to: Offset) -> None:
    keys = [record.key for offset, record in there.items() if offset < cleaned_to]
    assert None not in keys
    assert len(set(keys)) == len(keys), "a key is twice in what was cleaned"
    for offset in there:
        assert offset >= cleaned_to or not world.is_aborted(world.written[offset]), f"{offset} was aborted"


def bytes_on_disk(fs: FileSystem, directory: str = DIRECTORY) -> Iterator[tuple[str, bytes]]:
    """Every file in the log's directory."""
    for name in fs.listdir(directory):
        yield name, fs.read_file(f"{directory}/{name}")

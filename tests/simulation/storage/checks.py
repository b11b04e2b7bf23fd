"""What must hold of storage that was opened after a crash. A violation is an AssertionError that says what is wrong.

The checks read through the log as a fetch does, and compare with the model and with a brute-force reading of what came
back; they share no code with the indexes and states that they check.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from protocol.record_builder import build_batch
from protocol.records import Record, iter_batches, iter_records, read_header, verify_crc
from protocol.types import UNASSIGNED_DIRECTORY
from storage.checkpoint import LEADER_EPOCHS
from storage.directories.directory_loader import LoadReport
from storage.directories.manager import LogManager
from storage.fs.faulty import FaultyFileSystem, Loss
from storage.log import Log, ReadResult
from tests.simulation.storage.model import Batch, NodeModel, PartitionModel

DATA = "/var/data"


def open_node(fs: FaultyFileSystem, node: NodeModel, now_ms: int) -> tuple[LogManager, LoadReport]:
    """Starts storage as a broker does."""
    ids = iter(range(fs.operations + 1, 1 << 62))
    manager = LogManager(fs, [DATA], node_id=1, unique_id=lambda: next(ids).to_bytes(16, "big"))
    manager.open(node.cluster_id)
    try:
        return manager, manager.load(node.config_of, now_ms)
    except BaseException:
        manager.release()
        raise


def check_crash(fs: FaultyFileSystem, node: NodeModel, now_ms: int) -> None:
    """Opens a file system as a crash left it and checks all that is promised of it."""
    manager, report = open_node(fs, node, now_ms)
    check_opened(manager, report, node)
    # What was opened must itself survive the next crash, without one flush in between.
    again, report = open_node(fs.crash(Loss.ALL), node, now_ms)
    check_opened(again, report, node)
    check_appends_do_not_mix(fs, manager, node, now_ms)
    check_goes_on(fs, manager, node, now_ms)


def check_opened(manager: LogManager, report: LoadReport, node: NodeModel) -> None:
    """A crash alone damages nothing below a recovery point, and loses nothing acknowledged."""
    assert not report.failed, f"taken offline without a flipped bit: {report.failed}"
    for partition, model in node.live.items():
        log = manager.logs.get(partition)
        if log is None:
            assert not model.must_exist, f"{partition} is gone, acknowledged up to {model.acknowledged_end}"
            lost = manager.keep_lost(
                {partition: UNASSIGNED_DIRECTORY}, set_aside=report.set_aside, registered=()
            )
            assert not lost, (
                f"a crash took {partition} before it was flushed, and it is taken for lost: {lost}"
            )
        else:
            check_log(log, model)


def check_log(log: Log, model: PartitionModel) -> list[Batch]:
    """Compares one log with its model; returns what it holds."""
    name = log.topic_partition
    nothing_acknowledged = model.acknowledged_end <= model.start_offset
    assert model.start_offset_min <= log.log_start_offset, (
        f"{name} starts at {log.log_start_offset}, checkpointed was {model.start_offset_min}"
    )
    assert log.log_start_offset <= model.start_offset_max or nothing_acknowledged, (
        f"{name} starts at {log.log_start_offset}, never moved beyond {model.start_offset_max}"
    )
    assert log.log_end_offset >= model.acknowledged_end, (
        f"{name} ends at {log.log_end_offset}, acknowledged up to {model.acknowledged_end}"
    )
    assert log.recovery_point <= log.log_end_offset
    batches = read_all(log)
    check_content(log, model, batches)
    check_reads(log, batches)
    check_indexes(log)
    check_epochs(log, batches)
    check_timestamps(log, batches)
    check_producers(log, batches, model)
    check_transactions(log, batches)
    return batches


def read_all(log: Log) -> list[Batch]:
    """Reads a log from its start to its end as consumers do."""
    batches: list[Batch] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        result = read(log, offset, 1 << 20)
        assert result.region is not None, f"{log.topic_partition}: nothing to read at {offset}"
        batches += split(result.region.read())
        assert batches[-1].end_offset == result.next_offset > offset
        offset = result.next_offset
    return batches


def read(log: Log, offset: int, max_bytes: int) -> ReadResult:
    """One read, with what it needs from the thread pool done at once."""
    result = log.read(offset, max_bytes, log.log_end_offset)
    if result.cold is None:
        return result
    result.cold.run()
    return log.finish_read(result.cold)


def split(data: bytes) -> list[Batch]:
    batches = [Batch.of(bytes(batch)) for batch in iter_batches(data)]
    assert sum(len(batch.data) for batch in batches) == len(data), "a region cuts a batch"
    return batches


def check_content(log: Log, model: PartitionModel, batches: list[Batch]) -> None:
    name = log.topic_partition
    for batch in batches:
        assert verify_crc(batch.data), f"{name} serves a batch at {batch.base_offset} with a wrong checksum"
        assert batch.data in model.possible.get(batch.base_offset, ()), (
            f"{name} serves a batch at {batch.base_offset} that was never written there"
        )
    for before, after in pairwise(batches):
        assert before.end_offset == after.base_offset, f"{name} has a gap at {before.end_offset}"
    if batches:
        assert batches[0].base_offset <= log.log_start_offset < batches[0].end_offset
        assert batches[-1].end_offset == log.log_end_offset
    held = {batch.base_offset: batch.data for batch in batches}
    for batch in model.acknowledged(log.log_start_offset):
        assert held.get(batch.base_offset) == batch.data, (
            f"{name} lost the acknowledged batch [{batch.base_offset}, {batch.end_offset})"
        )


def check_reads(log: Log, batches: list[Batch]) -> None:
    """Any offset finds its batch, also when only one batch fits."""
    for batch in batches:
        for offset in {max(batch.base_offset, log.log_start_offset), batch.header.last_offset}:
            result = read(log, offset, 1)
            assert result.region is not None and result.region.read() == batch.data, (
                f"{log.topic_partition}: a read at {offset} does not give the batch at {batch.base_offset}"
            )


def check_indexes(log: Log) -> None:
    """Every index entry is true of the bytes in the segment file."""
    for segment in log.segments:
        if not segment.size_bytes:
            assert segment.offset_index.entries == 0
            continue
        by_position = {}
        position = 0
        for batch in iter_batches(segment.file.read_at(0, segment.size_bytes)):
            by_position[position] = read_header(batch)
            position += len(batch)
        assert position == segment.size_bytes, f"{segment.path} ends inside a batch"
        for index in range(segment.offset_index.entries):
            offset, position = segment.offset_index.entry(index)
            assert position in by_position and by_position[position].last_offset == offset, (
                f"{segment.path}: index entry {index} says ({offset}, {position})"
            )
        headers = list(by_position.values())
        for index in range(segment.time_index.entries):
            timestamp, offset = segment.time_index.entry(index)
            below = [header for header in headers if header.last_offset <= offset]
            assert below and below[-1].last_offset == offset, f"{segment.path}: time index names {offset}"
            assert max(header.max_timestamp for header in below) == timestamp, (
                f"{segment.path}: time index entry {index} says ({timestamp}, {offset})"
            )


def check_epochs(log: Log, batches: list[Batch]) -> None:
    for batch in batches:
        epoch = log.leader_epochs.epoch_at(max(batch.base_offset, log.log_start_offset))
        assert epoch == batch.header.leader_epoch, (
            f"{log.topic_partition}: {LEADER_EPOCHS} says epoch {epoch} at {batch.base_offset}, "
            f"the batch {batch.header.leader_epoch}"
        )


def check_timestamps(log: Log, batches: list[Batch]) -> None:
    records = [
        (record.timestamp_ms, record.offset)
        for batch in batches
        for record in iter_records(batch.data)
        if record.offset >= log.log_start_offset
    ]
    for target, _ in records[:: max(len(records) // 4, 1)]:
        expected = next(record for record in records if record[0] >= target)
        found = log.lookup_timestamp(target).run()
        assert found is not None and (found.timestamp_ms, found.offset) == expected, (
            f"{log.topic_partition}: the first record at or after {target} is {expected}, found {found}"
        )


def check_producers(log: Log, batches: list[Batch], model: PartitionModel) -> None:
    """The state is the one that the records have; of producers without any left, one that they once had."""
    last: dict[int, Batch] = {}
    for batch in batches:
        if batch.header.producer_id >= 0 and not batch.is_control:
            last[batch.header.producer_id] = batch
    known = log.producers.producers
    for producer_id, batch in last.items():
        header = batch.header
        assert producer_id in known, f"{log.topic_partition} forgot producer {producer_id}"
        if known[producer_id].epoch != header.producer_epoch:
            continue  # a marker raised it; check_transactions looks at those
        duplicate = log.producers.check(
            producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.last_sequence,
            batch.is_transactional,
        )
        assert duplicate is not None and duplicate.first_offset == header.base_offset, (
            f"{log.topic_partition}: a retry of producer {producer_id}'s batch at {header.base_offset} is not seen"
        )
        assert duplicate.last_offset == header.last_offset
        assert known[producer_id].next_sequence == header.last_sequence + 1
    for producer_id in known.keys() - last.keys():
        assert any(
            read_header(data).producer_id == producer_id
            for base, variants in model.possible.items()
            for data in variants
            if base < log.log_start_offset or read_header(data).base_sequence < 0
        ), f"{log.topic_partition} knows producer {producer_id}, of which it never held a record"


def check_transactions(log: Log, batches: list[Batch]) -> None:
    """Open and aborted transactions are those in the records; ones that began below the log start may begin lower."""
    start = log.log_start_offset
    open_since: dict[int, int] = {}
    aborted: set[tuple[int, int]] = set()
    for batch in batches:
        producer_id = batch.header.producer_id
        if batch.is_control:
            first = open_since.pop(producer_id, None)
            if first is not None and batch.aborts:
                aborted.add((producer_id, first))
        elif batch.is_transactional:
            open_since.setdefault(producer_id, batch.base_offset)
    log.producers.on_high_watermark(log.log_end_offset)
    first_unstable = log.first_unstable_offset
    if open_since:
        assert first_unstable is not None and first_unstable <= max(min(open_since.values()), start), (
            f"{log.topic_partition}: first unstable offset {first_unstable}, but {open_since} are open"
        )
    found = set(log.aborted_transactions(start, log.log_end_offset))
    begun_before = {producer_id for producer_id, first in found if first < start}
    missing = {txn for txn in aborted - found if txn[0] not in begun_before}
    assert not missing, f"{log.topic_partition}: {missing} were aborted, the index says {found}"
    assert all(first < start for _, first in found - aborted), (
        f"{log.topic_partition}: the index says {found}, but only {aborted} were aborted"
    )


def check_appends_do_not_mix(fs: FaultyFileSystem, manager: LogManager, node: NodeModel, now_ms: int) -> None:
    """Appends continue the offsets; a crash before their flush brings nothing back of what recovery cut off."""
    after = NodeModel(cluster_id=node.cluster_id)
    for partition, log in manager.logs.items():
        before = node.live[partition]
        possible = {base: data for base, data in before.possible.items() if base < log.log_start_offset}
        possible |= {batch.base_offset: {batch.data} for batch in read_all(log)}
        model = replace(before, possible=possible)
        after.live[partition] = model
        for size in (10, 700):
            data = append_one(log, model, now_ms, bytes(size))
            model.possible[Batch.of(data).base_offset] = {data}
    for loss in (Loss.SUBSET, Loss.TORN):
        left, report = open_node(fs.crash(loss), after, now_ms)
        check_opened(left, report, after)


def check_goes_on(fs: FaultyFileSystem, manager: LogManager, node: NodeModel, now_ms: int) -> None:
    """What is appended and flushed now survives the next crash."""
    written: dict[Log, bytes] = {}
    for partition, log in manager.logs.items():
        written[log] = append_one(log, node.live[partition], now_ms, b"after the crash")
        plan = log.flush_plan()
        plan.run()
        log.flushed(plan)
        assert log.recovery_point == log.log_end_offset
    run_all(manager.checkpoint_plans({}))
    after, report = open_node(fs.crash(Loss.ALL), node, now_ms)
    assert not report.failed, f"taken offline after recovery and one more crash: {report.failed}"
    for log, data in written.items():
        survivor = after.logs[log.topic_partition]
        assert survivor.log_end_offset == log.log_end_offset
        held = [batch.data for batch in read_all(survivor)]
        assert held[-1] == data and held == [batch.data for batch in read_all(log)], (
            f"{log.topic_partition}: what was flushed after recovery did not survive the next crash"
        )


def append_one(log: Log, model: PartitionModel, now_ms: int, value: bytes) -> bytes:
    """Appends a batch of one record, as the leader of a later epoch; returns it as stored."""
    before = log.log_end_offset
    batch = build_batch([Record(0, now_ms, b"key", value)])
    epoch = max(log.leader_epochs.latest, model.leader_epoch) + 1
    result = log.append(batch, leader_epoch=epoch, now_ms=now_ms)
    assert result.base_offset == before, f"{log}: offsets went from {before} to {result.base_offset}"
    return bytes(batch)


def run_all(plans: Iterable[object]) -> None:
    for plan in plans:
        plan.run()  # type: ignore[attr-defined]

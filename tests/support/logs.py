"""Opening, filling and reading logs in tests of storage."""

from __future__ import annotations

from protocol.control_records import end_txn_marker
from protocol.record_builder import build_batch
from protocol.records import Record, iter_batches
from protocol.types import Offset, TopicPartition
from storage.config import LogConfig
from storage.fs import File, FileSystem, OpenMode
from storage.fs.memory import MemoryFile, MemoryFileSystem
from storage.log import AppendOrigin, AppendResult, Log, ReadResult
from storage.recovery.loader import load_log
from storage.recovery.report import RecoveryReport

DIRECTORY = "/data/t-0"
NOW_MS = 1_700_000_000_000


class EvictingFileSystem(MemoryFileSystem):
    """Memory whose files claim to be on disk only while `resident` is False, until they are read."""

    def __init__(self) -> None:
        super().__init__(NOW_MS)
        self.resident = True

    def open(self, path: str, mode: OpenMode) -> File:
        file = super().open(path, mode)
        file.__class__ = _EvictedFile
        return file


class _EvictedFile(MemoryFile):
    __slots__ = ()

    def is_resident(self, position: int, size: int) -> bool:
        return self._system.resident  # type: ignore[attr-defined, no-any-return]


def open_log(
    fs: FileSystem,
    config: LogConfig | None = None,
    *,
    recovery_point: Offset = 0,
    log_start_offset: Offset = 0,
    clean: bool = True,
    directory: str = DIRECTORY,
) -> tuple[Log, RecoveryReport]:
    """The log in `directory`, made when it is missing."""
    fs.makedirs(directory)
    return load_log(
        fs,
        directory,
        TopicPartition("t", 0),
        config or LogConfig(),
        recovery_point=recovery_point,
        log_start_offset=log_start_offset,
        clean=clean,
        now_ms=NOW_MS,
    )


def make_batch(
    count: int = 1,
    *,
    size: int = 20,
    timestamp_ms: int = NOW_MS,
    key: bytes | None = b"k",
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    transactional: bool = False,
) -> bytearray:
    """A batch of `count` records with values of `size` bytes, all at one time, as a producer sends it."""
    records = [Record(index, timestamp_ms, key, bytes([index % 251]) * size) for index in range(count)]
    return build_batch(
        records,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        transactional=transactional,
    )


def append(log: Log, batch: bytearray, *, leader_epoch: int = 0, now_ms: int = NOW_MS) -> AppendResult:
    """Appends as a client does."""
    return log.append(memoryview(batch), leader_epoch=leader_epoch, now_ms=now_ms)


def append_marker(
    log: Log,
    producer_id: int,
    *,
    committed: bool,
    producer_epoch: int = 0,
    coordinator_epoch: int = 1,
    leader_epoch: int = 0,
) -> AppendResult:
    """Appends the end of a transaction, as its coordinator does."""
    marker = end_txn_marker(
        committed=committed,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        coordinator_epoch=coordinator_epoch,
        timestamp_ms=NOW_MS,
    )
    return log.append(
        memoryview(marker), leader_epoch=leader_epoch, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR
    )


def flush(log: Log) -> None:
    """Makes everything durable."""
    plan = log.flush_plan()
    plan.run()
    log.flushed(plan)


def read(
    log: Log, offset: Offset, max_bytes: int = 1 << 30, upper: Offset | None = None, *, min_one: bool = True
) -> ReadResult:
    """A read with its cold plan, if any, done."""
    result = log.read(offset, max_bytes, log.log_end_offset if upper is None else upper, min_one=min_one)
    if result.cold is not None:
        result.cold.run()
        result = log.finish_read(result.cold)
    return result


def read_bytes(result: ReadResult) -> bytes:
    """The bytes a consumer would get."""
    return result.region.read() if result.region is not None else b""


def read_all(log: Log, max_bytes: int = 1 << 30) -> list[bytes]:
    """Every batch from the log start on, read piece by piece as a consumer does."""
    batches: list[bytes] = []
    offset = log.log_start_offset
    while offset < log.log_end_offset:
        result = read(log, offset, max_bytes)
        assert result.region is not None, f"nothing to read at offset {offset} of {log}"
        assert result.next_offset > offset
        batches += [bytes(batch) for batch in iter_batches(result.region.read())]
        offset = result.next_offset
    return batches

"""What a node's logs want done from time to time: retention, flushes by age, letting go of files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from protocol.types import Offset, TimestampMs, TopicPartition
from storage.errors import CorruptLog, StorageFailure
from storage.flush import DeletePlan
from storage.log import Log


@dataclass(slots=True)
class Housekeeping:
    """What one round of retention wants done."""

    plans: list[DeletePlan] = field(default_factory=list)
    failures: list[tuple[TopicPartition, StorageFailure | CorruptLog]] = field(default_factory=list)


def apply_retention(
    logs: Collection[Log], now_ms: TimestampMs, high_watermarks: Mapping[TopicPartition, Offset]
) -> Housekeeping:
    """Takes expired segments out of every log, and forgets producers that expired. Only what lies below its high
    watermark is deleted; a log without one keeps all.
    """
    result = Housekeeping()
    for log in logs:
        partition = log.topic_partition
        log.producers.remove_expired(now_ms)
        try:
            plan = log.delete_old_segments(now_ms, high_watermarks.get(partition, 0))
        except (CorruptLog, StorageFailure) as failure:
            result.failures.append((partition, failure))
        else:
            if plan is not None:
                result.plans.append(plan)
    return result


class FlushClock:
    """Remembers since when each log has records that are not on disk."""

    def __init__(self) -> None:
        self._since: dict[TopicPartition, TimestampMs] = {}

    def due(self, logs: Collection[Log], now_ms: TimestampMs) -> list[Log]:
        """The logs with an inactive segment, or with records older than flush.ms, that are not on disk yet. Call
        it every second or so: age counts from the first call that sees it.
        """
        since: dict[TopicPartition, TimestampMs] = {}
        due = []
        for log in logs:
            if log.needs_flush:
                due.append(log)
            elif log.recovery_point < log.log_end_offset:
                first_seen = self._since.get(log.topic_partition, now_ms)
                if now_ms - first_seen >= log.config.flush_ms:
                    due.append(log)
                    first_seen = now_ms
                since[log.topic_partition] = first_seen
        self._since = since
        return due


class FileBudget:
    """Takes turns among the logs in letting go of files."""

    def __init__(self) -> None:
        self._turn = 0

    def keep(self, logs: Collection[Log], open_files: Callable[[], int], open_files_max: int) -> None:
        """Lets go of files until at most `open_files_max` are open: first of inactive segments, then of whole logs,
        each in its turn. They open again on use.
        """
        if open_files() <= open_files_max:
            return
        for log in logs:
            log.close_idle_files()
        in_turn = list(logs)
        for _ in in_turn:
            if open_files() <= open_files_max:
                return
            self._turn = (self._turn + 1) % len(in_turn)
            in_turn[self._turn].release()

"""Closing many logs at a stop: each one's files completed, the disk waited for side by side.

Not here: in which threads that is (the caller's `RunAll`), and what vouches for a directory afterwards (the manager).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from storage.errors import CorruptLog, StorageFailure

if TYPE_CHECKING:
    from storage.flush import FlushPlan
    from storage.log import Log

RunAll: TypeAlias = Callable[[Sequence[Callable[[], None]]], Sequence[BaseException | None]]
"""Does all that it is given, in any order or side by side, and says for each how it failed, or None."""

#: Logs closed side by side. Bounds the files that a stop holds open beyond those of serving.
_CLOSED_TOGETHER = 64


def one_by_one(works: Sequence[Callable[[], None]]) -> list[BaseException | None]:
    """The `RunAll` of those who want to know the order."""
    outcomes: list[BaseException | None] = []
    for work in works:
        try:
            work()
            outcomes.append(None)
        except StorageFailure as failure:
            outcomes.append(failure)
    return outcomes


def close_logs(logs: Sequence[Log], run_all: RunAll) -> list[StorageFailure | CorruptLog]:
    """Makes `logs` durable and lets go of their files; the names of their directories are durable already. Blocks.
    Returns what failed.
    """
    failures: list[StorageFailure | CorruptLog] = []
    for start in range(0, len(logs), _CLOSED_TOGETHER):
        failures += _close_together(logs[start : start + _CLOSED_TOGETHER], run_all)
    return failures


def _close_together(logs: Sequence[Log], run_all: RunAll) -> list[StorageFailure | CorruptLog]:
    failures: list[StorageFailure | CorruptLog] = []
    closing: list[tuple[Log, FlushPlan]] = []
    for log in logs:
        try:
            closing.append((log, log.prepare_close()))
        except (CorruptLog, StorageFailure) as failure:
            failures.append(failure)
    outcomes = run_all([plan.run_but_for_the_name for _, plan in closing])
    for (log, plan), outcome in zip(closing, outcomes, strict=True):
        if outcome is None:
            log.flushed(plan)
            log.release()
        elif isinstance(outcome, (CorruptLog, StorageFailure)):
            failures.append(outcome)
        else:
            raise outcome
    return failures

"""What `logd dump --verify` has to say: problems, and notes on what is unusual but in order."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from protocol.types import Offset, Position

NOWHERE = -1
"""Stands for no position, or no offset."""

RESTORE_FILE = "restore it from a copy"
REMOVE_FILE = "remove it while the broker is stopped: it is made anew at the next start"


class Severity(enum.Enum):
    """What a finding means for the exit code."""

    PROBLEM = "problem"
    NOTE = "note"


class Finding(NamedTuple):
    """One thing found: where, what, and what to do about it."""

    severity: Severity
    path: str
    position: Position
    """Byte within the file; NOWHERE where the finding is not of one place."""
    offset: Offset
    problem: str
    advice: str


class Report:
    """Passes findings on as they are made and counts what was looked at."""

    def __init__(
        self, on_finding: Callable[[Finding], None], on_progress: Callable[[], None] = lambda: None
    ) -> None:
        self.problems = 0
        self.notes = 0
        self.partitions = 0
        self.files = 0
        self.batches = 0
        self.records = 0
        self.bytes_read = 0
        """Bytes of log files and snapshots whose checksums were computed."""
        self._on_finding = on_finding
        self._on_progress = on_progress

    def problem(
        self, path: str, problem: str, advice: str, *, position: Position = NOWHERE, offset: Offset = NOWHERE
    ) -> None:
        self.problems += 1
        self._on_finding(Finding(Severity.PROBLEM, path, position, offset, problem, advice))

    def note(
        self,
        path: str,
        note: str,
        advice: str = "",
        *,
        position: Position = NOWHERE,
        offset: Offset = NOWHERE,
    ) -> None:
        self.notes += 1
        self._on_finding(Finding(Severity.NOTE, path, position, offset, note, advice))

    def add_batch(self, size_bytes: int, records: int) -> None:
        self.batches += 1
        self.records += records
        self.bytes_read += size_bytes
        self._on_progress()

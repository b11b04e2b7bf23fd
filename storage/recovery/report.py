"""What opening a log found and did, as facts for whoever tells the operator."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.types import Offset, TopicPartition


@dataclass(slots=True)
class RecoveryReport:
    """What opening a log found and did."""

    topic_partition: TopicPartition
    clean: bool
    segments: int = 0
    scanned_segments: int = 0
    scanned_bytes: int = 0
    rebuilt_segments: list[Offset] = field(default_factory=list)
    """Base offsets of segments below the recovery point whose indexes had to be made anew."""
    cut_offset: Offset = -1
    """Where the log was cut, and now ends; -1 when it was not."""
    cut_bytes: int = 0
    cut_files: list[str] = field(default_factory=list)
    """Where the bytes that were cut off are kept."""
    cut_reason: str = ""

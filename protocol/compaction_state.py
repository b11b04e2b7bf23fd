"""What a node does about the compaction of a partition, in DescribeCompaction."""

from __future__ import annotations

from enum import IntEnum


class CompactionState(IntEnum):
    """The response's `state`."""

    IDLE = 0
    WAITING = 1
    """A pass was asked for, and has not begun."""
    RUNNING = 2

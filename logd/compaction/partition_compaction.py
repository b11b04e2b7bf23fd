"""What a node's cleaner knows of one partition, for who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from logd.compaction.asked_passes import AskedOutcome
    from protocol.types import Offset


class PartitionCompaction(NamedTuple):
    """What the cleaner knows of one partition."""

    cleaned_to: Offset | None
    """All below is clean; None before the first pass."""
    clean_bytes: int
    dirty_bytes: int
    """Of what may be cleaned now."""
    uncleanable: str | None
    """Why it was set aside."""
    is_waiting: bool
    """A pass was asked for, and has not begun."""
    progress: tuple[int, int] | None
    """Bytes done and in all, while a pass runs."""
    asked: AskedOutcome

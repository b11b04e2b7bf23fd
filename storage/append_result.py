"""Who appends to a log, and what it is told of it."""

from __future__ import annotations

import enum

from protocol.types import Offset, TimestampMs


class AppendOrigin(enum.Enum):
    """Who appends, which decides what is checked."""

    CLIENT = "client"
    """A producer: every check."""
    COORDINATOR = "coordinator"
    """A coordinator of this node: batches without sequences, and transaction markers."""
    RAFT_LEADER = "raft leader"
    """The metadata log's owner."""
    REPLICATION = "replication"
    """A follower; see `Log.append_replica`."""


class AppendResult:
    """What became of one batch. Offsets inclusive; -1 for what does not apply."""

    __slots__ = ("base_offset", "duplicate", "flush_to", "last_offset", "log_append_time", "max_timestamp")

    def __init__(
        self,
        base_offset: Offset,
        last_offset: Offset,
        max_timestamp: TimestampMs,
        log_append_time: TimestampMs,
        duplicate: bool,
        flush_to: Offset,
    ) -> None:
        self.base_offset = base_offset
        self.last_offset = last_offset
        self.max_timestamp = max_timestamp
        self.log_append_time = log_append_time
        """-1 where records keep their own time."""
        self.duplicate = duplicate
        """The batch had been written before: nothing was written, the offsets are the original ones."""
        self.flush_to = flush_to
        """The answer must wait until `recovery_point` is at least this; -1: it need not wait."""

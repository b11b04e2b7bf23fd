"""What replication needs from the packages that it may not import: the log of a replica."""

from __future__ import annotations

from typing import Any, Protocol

from protocol.types import LeaderEpoch, Offset, TimestampMs


class AppendResult(Protocol):
    """What became of one batch."""

    base_offset: Offset
    last_offset: Offset
    """Inclusive."""
    log_append_time: TimestampMs
    """-1 where records keep their own time."""
    duplicate: bool
    """The batch had been written before; the offsets are those of then."""
    flush_to: Offset
    """The topic wants the log durable up to here (exclusive) before anyone is told; -1 when it does not."""


class LeaderEpochs(Protocol):
    """Where each leader epoch begins."""

    def assign(self, epoch: LeaderEpoch, start_offset: Offset) -> None: ...


class Producers(Protocol):
    """The transactions on a log."""

    first_unstable_offset: Offset | None

    def on_high_watermark(self, high_watermark: Offset) -> None: ...


class ReplicaConfig(Protocol):
    """The part of a topic's configuration that concerns replication."""

    @property
    def min_insync_replicas(self) -> int: ...

    @property
    def deletes(self) -> bool:
        """Whether old records may be deleted as such, not only be superseded by newer ones of their keys."""


class ReplicaLog(Protocol):
    """The log of one replica on this node. Offsets are exclusive ends unless the name says otherwise."""

    @property
    def config(self) -> ReplicaConfig: ...

    @property
    def log_start_offset(self) -> Offset: ...

    @property
    def log_end_offset(self) -> Offset: ...

    @property
    def recovery_point(self) -> Offset:
        """All below is on stable storage."""

    @property
    def leader_epochs(self) -> LeaderEpochs: ...

    @property
    def producers(self) -> Producers: ...

    def append(
        self, batch: Any, *, leader_epoch: LeaderEpoch, now_ms: TimestampMs, origin: Any
    ) -> AppendResult:
        """Write one batch; `batch` and `origin` are the storage layer's own types, passed through."""

    def append_marker(
        self, batch: Any, *, leader_epoch: LeaderEpoch, now_ms: TimestampMs, transaction_version: int
    ) -> AppendResult:
        """Write a transaction marker."""

    def advance_log_start_offset(self, offset: Offset) -> bool:
        """Move the log start offset up, never down; return whether it moved."""

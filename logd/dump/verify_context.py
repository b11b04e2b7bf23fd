"""What a check of one partition knows from outside of it, and what it carries from segment to segment."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from protocol.types import LeaderEpoch, Offset
from storage.leader_epochs import LeaderEpochCache
from storage.producer_state import ProducerStateManager


class VerifyOptions(NamedTuple):
    """What the user says of a check."""

    compacted: bool = False
    """Gaps in the offsets are in order, whatever else is known."""
    walk_records: bool = True
    """Look at the records inside sound batches, too."""


class DirectoryState(enum.Enum):
    """Whether somebody is at work in a data directory, and how the last who was left it."""

    CLEAN = "cleanly stopped"
    """Every file is complete."""
    UNCLEAN = "not cleanly stopped"
    """What lies at or above the recovery point may be torn; the next start mends it."""
    RUNNING = "in use by a running broker"
    """Files grow, appear and vanish while they are read; indexes lag behind."""
    UNKNOWN = "of unknown state"
    """A partition's directory by itself, somewhere."""


@dataclass(slots=True)
class PartitionContext:
    """What is known of a partition beside its own files; None for what is not."""

    state: DirectoryState = DirectoryState.UNKNOWN
    may_have_gaps: bool = False
    """Offsets may be missing: the topic is or was compacted."""
    gaps_known: bool = False
    """Whether `may_have_gaps` is more than a guess."""
    recovery_point: Offset | None = None
    log_start_offset: Offset = 0
    """As checkpointed; the log's first batches may lie below."""
    topic_id: bytes | None = None
    """As the metadata has it."""
    leader_epoch: LeaderEpoch | None = None
    """The latest that the metadata has given out; no batch can have a later one."""
    walk_records: bool = True

    def is_settled(self, offset: Offset) -> bool:
        """Whether what lies at `offset` was on disk for good: damage there is rot and not an interrupted write."""
        if self.state is DirectoryState.CLEAN:
            return True
        return self.recovery_point is not None and offset < self.recovery_point


class PartitionWalk:
    """What one segment hands to the next."""

    __slots__ = ("due", "epochs", "history_is_whole", "last_epoch", "producers")

    def __init__(self, producers: ProducerStateManager, epochs: LeaderEpochCache) -> None:
        self.due: Offset | None = None
        """Offset that the next batch begins with; None where that cannot be known."""
        self.last_epoch: LeaderEpoch = -1
        self.epochs = epochs
        """As the file of leader epochs has them; empty where there is none that can be read."""
        self.producers: ProducerStateManager | None = producers
        """State of the producers as the batches make it; None once there are too many to keep."""
        self.history_is_whole = False
        """Whether `producers` knows all that led up to here: no damage, and a known beginning."""

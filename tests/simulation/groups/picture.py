"""What the checker knows of a group: what its records say, and what its members were told."""

from __future__ import annotations

from dataclasses import dataclass, field

from protocol.messages.records_group import GroupMetadataValue, OffsetCommitValue


@dataclass
class Held:
    """What the log says of a member of a consumer group."""

    epoch: int
    assigned: set[tuple[bytes, int]]
    revoking: set[tuple[bytes, int]]
    revoking_since_ms: int = 0
    disclaimed: set[tuple[bytes, int]] = field(default_factory=set)
    """Taken away without asking, since it had told that it does not use them, until it tells so again.

    It may have begun to use them while that was on its way: it had been told to, and does not know better before the
    answer is there. Until then two members use them, here as with Kafka, which believes such a report, too.
    """


@dataclass
class GroupPicture:
    """What the log says of one group, and what was said of it."""

    offsets: dict[tuple[str, int], OffsetCommitValue] = field(default_factory=dict)
    classic: GroupMetadataValue | None = None
    epoch: int = 0
    members: dict[str, Held] = field(default_factory=dict)
    generation: int = 0
    """The last that any member was told by this shard, or that the log says."""
    granted: dict[int, dict[tuple[str, int], str]] = field(default_factory=dict)
    """By generation: who was told to own each partition; instance id or member id."""
    twins: dict[str, str] = field(default_factory=dict)
    """Member id by instance id, as told last."""
    fenced: set[str] = field(default_factory=set)
    """Member ids whose twins came."""
    lives: int = 0
    """How often it was deleted; with each life generations begin anew."""
    unwritten: bool = False
    """That nobody is left could not be written: the log lags behind until the next rebalance, which does no harm."""

    @property
    def has_members(self) -> bool:
        classic = self.classic is not None and bool(self.classic.members) and not self.unwritten
        return classic or bool(self.members)

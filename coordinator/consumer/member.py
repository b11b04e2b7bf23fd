"""One member of a consumer group, as the log has it: a value that is replaced, never changed.

States, and what the next heartbeat does (see reconciliation.py):

    STABLE                has all that the target of its epoch gives it; goes on when there is a newer target.
    UNREVOKED_PARTITIONS  was told to give partitions up, and keeps its epoch until it reports that it did.
    UNRELEASED_PARTITIONS is in the target's epoch, but waits for partitions that others still have.
    UNKNOWN               written by a later version: has to give up everything and begin anew.

Source: KIP-848; Kafka group-coordinator, ConsumerGroupMember.java, MemberState.java.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from coordinator.consumer.assignment import Owned

JOIN_EPOCH: Final = 0
"""Member epoch in the request of who joins, for the first time or again."""

LEAVE_EPOCH: Final = -1
"""Member epoch in the request of who leaves, and of a member whose removal is half replayed."""

STATIC_LEAVE_EPOCH: Final = -2
"""Member epoch of a static member that is away, and keeps its partitions until its session ends."""


class MemberState(IntEnum):
    """As in its record."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2
    UNKNOWN = 127

    @classmethod
    def of(cls, value: int) -> MemberState:
        return cls(value) if value in cls.__members__.values() else cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class ClassicMetadata:
    """What a member that uses the classic protocol brought in its JoinGroup."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    """Name and metadata, the one it likes best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerMember:
    """Made with defaults, it is somebody who is about to join."""

    member_id: str
    member_epoch: int = 0
    """Epoch of the target that it has, or has begun to take up; see also the constants above."""
    previous_member_epoch: int = -1
    """A heartbeat may still carry it: the answer that told the next one may be lost."""
    state: MemberState = MemberState.STABLE
    instance_id: str | None = None
    """Name of a static member, None for a dynamic one."""
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    """How long it may take to give partitions up."""
    client_id: str = ""
    client_host: str = ""
    topic_names: frozenset[str] = frozenset()
    """Subscribed to by name."""
    topic_regex: str | None = ""
    """Subscribed to by pattern; None and "" for none."""
    assignor: str | None = None
    """The server-side assignor that it votes for."""
    assigned: Owned = field(default_factory=dict)
    """What it may use. Never overlaps with `revoking`."""
    revoking: Owned = field(default_factory=dict)
    """What it was told to give up and may still use."""
    classic: ClassicMetadata | None = None
    """None for one that uses the consumer protocol."""

    def is_reconciled_to(self, epoch: int) -> bool:
        """Whether it has all that the target of `epoch` gives it."""
        return self.state is MemberState.STABLE and self.member_epoch == epoch

    def assignment_epoch(self, topic_id: bytes, partition: int) -> int | None:
        """Return in which epoch it was given a partition that it may use; None where it may not."""
        epoch = self.assigned.get(topic_id, {}).get(partition)
        return self.revoking.get(topic_id, {}).get(partition) if epoch is None else epoch

"""What all kinds of groups are asked about, each in the way of its protocol.

A kind is a module of functions over its groups: `coordinator.classic.kind` for the protocol of JoinGroup,
`coordinator.consumer.kind` for that of KIP-848. Who works on committed offsets, or lists and deletes groups, asks
through `kind_of`.
Source: Kafka group-coordinator, Group.java.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from coordinator.classic import kind as classic
from coordinator.classic.group import ClassicGroup
from coordinator.consumer import kind as consumer
from coordinator.consumer.group import ConsumerGroup
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from coordinator.offsets.asked import OffsetToCommit
    from coordinator.shard import Effects
    from protocol.types import TimestampMs

_Group_contra = TypeVar("_Group_contra", contravariant=True)


class GroupKind(Protocol[_Group_contra]):
    """The questions. An answer of type ErrorCode is what a request is refused with, NONE if it is not."""

    @property
    def TYPE(self) -> str:
        """Name of the kind, as ListGroups tells it."""

    def refuse_commit(
        self,
        group: _Group_contra,
        member_id: str,
        instance_id: str | None,
        epoch: int,
        version: int,
        offsets: Sequence[OffsetToCommit],
        /,
    ) -> ErrorCode:
        """Whether who says to be a member of this generation or epoch, -1 for none, may commit the offsets."""

    def refuse_transactional_commit(
        self,
        group: _Group_contra,
        member_id: str,
        instance_id: str | None,
        epoch: int,
        offsets: Sequence[OffsetToCommit],
        /,
    ) -> ErrorCode:
        """Whether a producer may commit the offsets in a transaction; he need not say which member he works for."""

    def heard_of(
        self, group: _Group_contra, member_id: str, now_ms: TimestampMs, effects: Effects, /
    ) -> None:
        """The sender of an accepted commit shows by it that it is alive."""

    def refuse_fetch(self, group: _Group_contra, member_id: str | None, epoch: int, /) -> ErrorCode:
        """Whether offsets may be read by a member, or by whoever names none."""

    def refuse_offset_delete(self, group: _Group_contra, /) -> ErrorCode:
        """Whether offsets of topics that it is not subscribed to may be deleted."""

    def is_subscribed_to(self, group: _Group_contra, topic: str, /) -> bool:
        """Whether members of it use the offsets of a topic."""

    def offsets_expire_since(self, group: _Group_contra, /) -> TimestampMs | None:
        """From when on offsets count as unused, `SINCE_COMMIT`, or None while they do not expire at all."""

    def refuse_delete(self, group: _Group_contra, /) -> ErrorCode:
        """Whether the group may be deleted."""

    def remove(self, group: _Group_contra, effects: Effects, /) -> None:
        """Propose the tombstones of all that the log has of the group, but for its offsets."""

    def state_name(self, group: _Group_contra, /) -> str:
        """As ListGroups tells it."""

    def protocol_type(self, group: _Group_contra, /) -> str:
        """As ListGroups tells it; empty for a group that only stores offsets."""


_KINDS: Final[dict[type[Any], GroupKind[Any]]] = {ClassicGroup: classic, ConsumerGroup: consumer}


def kind_of(group: object) -> GroupKind[Any]:
    """Return what answers for a group."""
    return _KINDS[type(group)]

"""A classic group: its members, its generation, and the protocol that they agreed on.

What the log says of it (`GroupMetadata`) is the last assignment that was written, or that it is empty. Members that
join, the state while it rebalances and who waits are soft: a restart finds the group as it was last written.

Invariants: the leader is a member while there are members; every static member's name leads to its member id; the
protocol type is that of all members, and while there are members they have at least one protocol in common.
Not here: what requests and timers do with it (join.py, sync.py, …), and records (replay.py).
Source: Kafka group-coordinator, ClassicGroup.java.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from coordinator.classic.states import PREDECESSORS, ClassicState
from coordinator.classic.subscription import CONSUMER_PROTOCOL_TYPE, subscribed_topics
from protocol.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from coordinator.classic.member import ClassicMember
    from coordinator.consumer.group import ConsumerGroup
    from coordinator.shard import TimerKey
    from protocol.types import TimestampMs

_NONE: Final = ErrorCode.NONE
"""Looked up once: every heartbeat asks for it."""

JOIN_TIMER: Final = "classic join"
"""Kind of the timer that ends the join phase: (kind, group id)."""

SYNC_TIMER: Final = "classic sync"
"""Kind of the timer that ends the wait for SyncGroups: (kind, group id)."""


class ClassicGroup:
    """Changed by the decisions about its members, and by replay."""

    __slots__ = (
        "extended",
        "former",
        "generation_id",
        "group_id",
        "initial_delay_left_ms",
        "join_timer",
        "joining",
        "leader_id",
        "members",
        "must_rebalance",
        "pending_members",
        "pending_sync",
        "protocol_name",
        "protocol_type",
        "replacements",
        "state",
        "state_since_ms",
        "static_members",
        "subscribed_topics",
        "sync_timer",
        "written",
    )

    def __init__(self, group_id: str, now_ms: TimestampMs) -> None:
        """An empty group, as it is before anybody joined."""
        self.group_id = group_id
        self.state = ClassicState.EMPTY
        self.state_since_ms = now_ms
        """When it came into its state; -1 where the log does not tell. Offsets of an empty group expire from here."""
        self.protocol_type: str | None = None
        """What its members do, `consumer` for consumers; None before anybody joined."""
        self.protocol_name: str | None = None
        """Chosen for the generation; None while there is none."""
        self.generation_id = 0
        """Of the last join phase that ended; rises by 1 with each."""
        self.leader_id: str | None = None
        self.members: dict[str, ClassicMember] = {}
        """By member id, the longest in the group first."""
        self.static_members: dict[str, str] = {}
        """Member id by instance id."""
        self.subscribed_topics: frozenset[str] | None = None
        """Of all members together; None where that is not known."""
        self.pending_members: set[str] = set()
        """Ids given out with MEMBER_ID_REQUIRED whose owners have not come back (KIP-394)."""
        self.pending_sync: set[str] = set()
        """Members of the generation that have sent no SyncGroup."""
        self.joining = 0
        """How many members wait in a JoinGroup."""
        self.initial_delay_left_ms: int | None = None
        """While the first join phase of an empty group gathers members: how much longer it may be extended."""
        self.extended = False
        """Somebody joined since the initial delay began or was extended."""
        self.replacements: dict[str, ClassicMember] = {}
        """Static members come back under these ids, from the proposal of the record that says so to its replay."""
        self.former: ConsumerGroup | None = None
        """The empty group of consumers that it takes the place of, until that is written."""
        self.written = False
        """The log knows of it."""
        self.must_rebalance = False
        """The log says that it had yet to, as partitions may have no owner; of interest until it is loaded."""
        self.join_timer: TimerKey = (JOIN_TIMER, group_id)
        self.sync_timer: TimerKey = (SYNC_TIMER, group_id)

    # -- state -------------------------------------------------------------------------------------------

    def become(self, state: ClassicState, now_ms: TimestampMs) -> None:
        """Change the state. A change that is not in the table is a bug."""
        assert self.state in PREDECESSORS[state], f"group {self.group_id}: {self.state} → {state}"
        self.state = state
        self.state_since_ms = now_ms

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in it; who was only given an id does not count."""
        return not self.members

    @property
    def is_simple(self) -> bool:
        """Whether it only stores offsets: nobody has ever joined, or is about to."""
        return self.protocol_type is None and not self.members and not self.pending_members

    @property
    def can_rebalance(self) -> bool:
        return self.state in PREDECESSORS[ClassicState.PREPARING_REBALANCE]

    @property
    def all_joined(self) -> bool:
        """Whether there is nobody left to wait for."""
        return self.joining == len(self.members) and not self.pending_members

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member asks for."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    # -- members -----------------------------------------------------------------------------------------

    def refusal(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """Return what a request of this member is refused with, NONE when it is a member."""
        if instance_id is not None:
            known = self.static_members.get(instance_id)
            if known is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if known != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return _NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def add(self, member: ClassicMember, protocol_type: str) -> None:
        """Take in a member; the first one leads, and decides what the group does."""
        if not self.members:
            self.protocol_type = protocol_type
        if self.leader_id is None:
            self.leader_id = member.member_id
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        if member.join is not None:
            self.joining += 1
        self.pending_members.discard(member.member_id)

    def remove(self, member_id: str) -> ClassicMember | None:
        """Let go of a member or a pending id; return the member, whose waiting requests are the caller's affair."""
        self.pending_members.discard(member_id)
        self.pending_sync.discard(member_id)
        member = self.members.pop(member_id, None)
        if member is None:
            return None
        if member.join is not None:
            self.joining -= 1
        if member.instance_id is not None:
            del self.static_members[member.instance_id]
        if self.leader_id == member_id:
            self.leader_id = next(iter(self.members), None)
        return member

    def replace(self, old: ClassicMember, new: ClassicMember) -> None:
        """Put a static member that came back in the place of its former self."""
        assert new.instance_id is not None
        self.members = {
            member.member_id: member
            for member in (new if member is old else member for member in self.members.values())
        }
        self.joining += (new.join is not None) - (old.join is not None)
        self.static_members[new.instance_id] = new.member_id
        self.pending_sync.discard(old.member_id)
        if self.leader_id == old.member_id:
            self.leader_id = new.member_id

    # -- protocols ---------------------------------------------------------------------------------------

    def supports(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        """Whether a member with these could join: it shares the type, and a protocol, with all who are there."""
        if self.state is ClassicState.EMPTY:
            return bool(protocol_type) and any(True for _ in protocols)
        return self.protocol_type == protocol_type and any(
            all(name in member.protocols for member in self.members.values()) for name in protocols
        )

    def best_protocol(self, members: Iterable[ClassicMember] | None = None) -> str:
        """Return the protocol with most votes among those that all of the members, at least one, support."""
        voters = list(self.members.values() if members is None else members)
        common = set.intersection(*(set(member.protocols) for member in voters))
        return Counter(member.vote(common) for member in voters).most_common(1)[0][0]

    @property
    def is_consumers(self) -> bool:
        """Whether its members are consumers, whose subscriptions can be read."""
        return self.protocol_type == CONSUMER_PROTOCOL_TYPE

    def is_subscribed_to(self, topic: str) -> bool:
        """Whether it may be using the offsets of a topic; where subscriptions cannot be read, yes."""
        if self.subscribed_topics is None:
            return self.is_consumers
        return topic in self.subscribed_topics

    def refresh_subscriptions(self) -> None:
        """Read the members' subscriptions anew: they changed, or the protocol did."""
        self.subscribed_topics = None
        if not self.is_consumers:
            return
        name = self.protocol_name
        if not self.members:
            self.subscribed_topics = frozenset()
        elif name is not None:
            self.subscribed_topics = subscribed_topics(
                member.protocols[name] for member in self.members.values()
            )

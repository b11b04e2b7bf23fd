"""A consumer group: its members, what they subscribe to, and what each is to own (KIP-848).

    group epoch        rises with every change of members, subscriptions or topics: the target is out of date
    assignment epoch   the group epoch for which the target was made; behind the group epoch while one is due
    member epoch       that of the target that the member has taken up; never ahead of the assignment epoch

Everything here is what the log says, and is changed by replay.py alone, but for `checked_epoch` and
`asked_to_join`. The counts follow from
the members, and are kept so that a heartbeat need not go through them all.
Invariants: a partition has one owner (`owner_epochs`); every static member's name leads to its member id.
Source: Kafka group-coordinator, ConsumerGroup.java, ModernGroup.java.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from coordinator.consumer.assignment import NO_TARGET, Owned, Target
from coordinator.consumer.member import ConsumerMember

if TYPE_CHECKING:
    from protocol.types import TimestampMs

FIRST_EPOCH: Final = 1
"""Of a group that nothing was written about."""

NO_ASSIGNMENT: Final = -1
"""Assignment epoch of a group that is being removed."""


class ConsumerGroupState(Enum):
    """As DescribeGroups and ListGroups call it."""

    EMPTY = "Empty"
    """Nobody is in it."""
    ASSIGNING = "Assigning"
    """Its target is out of date."""
    RECONCILING = "Reconciling"
    """Some member has not taken up the target."""
    STABLE = "Stable"


class ResolvedRegex(NamedTuple):
    """The topics that a pattern matched when it was last looked at."""

    topics: frozenset[str]
    version: int
    """Of the metadata then."""
    timestamp: TimestampMs


class ConsumerGroup:
    """Hard state, and the little soft state that goes with it."""

    __slots__ = (
        "asked_to_join",
        "assignment_epoch",
        "assignment_timestamp",
        "assignors",
        "checked_epoch",
        "classic_members",
        "classic_protocols",
        "group_epoch",
        "group_id",
        "has_old_metadata",
        "members",
        "metadata_hash",
        "owner_epochs",
        "regexes",
        "resolved",
        "static_members",
        "targets",
        "topics_by_name",
        "topics_by_regex",
    )

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.group_epoch = FIRST_EPOCH
        self.metadata_hash = 0
        """Of the topics subscribed to, when the group epoch last rose."""
        self.assignment_epoch = FIRST_EPOCH
        self.assignment_timestamp: TimestampMs = 0
        """When the target was made; 0 where that is not known."""
        self.members: dict[str, ConsumerMember] = {}
        self.static_members: dict[str, str] = {}
        """Member id by instance id."""
        self.targets: dict[str, Target] = {}
        """What each member is to own, by member id."""
        self.resolved: dict[str, ResolvedRegex] = {}
        """By pattern."""
        self.has_old_metadata = False
        """The log has a record of the topics' metadata, as versions before 4.1 wrote: to be removed."""
        self.owner_epochs: dict[bytes, dict[int, int]] = {}
        """Member epoch of the owner of each partition that has one, by topic id."""
        self.topics_by_name: Counter[str] = Counter()
        """How many members subscribe to a topic by its name."""
        self.topics_by_regex: Counter[str] = Counter()
        """How many patterns match a topic."""
        self.regexes: Counter[str] = Counter()
        """How many members subscribe to a pattern."""
        self.assignors: Counter[str] = Counter()
        """How many members vote for an assignor."""
        self.classic_members = 0
        """How many members use the classic protocol."""
        self.classic_protocols: Counter[str] = Counter()
        """How many of these support a protocol."""
        self.asked_to_join: set[str] = set()
        """Ids of members with the classic protocol that were told to join again and have not."""
        self.checked_epoch: int | None = None
        """Group epoch for which the metadata hash was compared with the topics as they are now; None when topics
        changed since. Above the group epoch when that one could not be written."""

    # -- reading -----------------------------------------------------------------------------------------

    @property
    def state(self) -> ConsumerGroupState:
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.group_epoch > self.assignment_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(member.is_reconciled_to(self.assignment_epoch) for member in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    @property
    def is_empty(self) -> bool:
        return not self.members

    @property
    def metadata_expired(self) -> bool:
        """Whether the metadata hash has to be compared with the topics again."""
        return self.checked_epoch is None or self.group_epoch < self.checked_epoch

    def is_subscribed_to(self, topic: str) -> bool:
        return topic in self.topics_by_name or topic in self.topics_by_regex

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        """Return who has the name now."""
        member_id = None if instance_id is None else self.static_members.get(instance_id)
        return None if member_id is None else self.members[member_id]

    def target_of(self, member: ConsumerMember) -> Target:
        """Return what a member is to own; a static one inherits it from its former self."""
        if member.instance_id is None:
            return self.targets.get(member.member_id, NO_TARGET)
        known_as = self.static_members.get(member.instance_id)
        return NO_TARGET if known_as is None else self.targets.get(known_as, NO_TARGET)

    def is_owned(self, topic_id: bytes, partition: int) -> bool:
        return partition in self.owner_epochs.get(topic_id, {})

    # -- replaying ---------------------------------------------------------------------------------------

    def put_member(self, member: ConsumerMember) -> None:
        old = self.members.get(member.member_id)
        if old is not None:
            self._release(old)
            self._count(old, -1)
        self.members[member.member_id] = member
        self._own(member.assigned, member.member_epoch)
        self._own(member.revoking, member.member_epoch)
        self._count(member, 1)
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id

    def remove_member(self, member_id: str) -> None:
        member = self.members.pop(member_id)
        self.asked_to_join.discard(member_id)
        self._release(member)
        self._count(member, -1)
        if member.instance_id is not None and self.static_members.get(member.instance_id) == member_id:
            del self.static_members[member.instance_id]

    def put_resolved(self, regex: str, resolved: ResolvedRegex) -> None:
        self.remove_resolved(regex)
        self.resolved[regex] = resolved
        _add(self.topics_by_regex, resolved.topics, 1)

    def remove_resolved(self, regex: str) -> None:
        old = self.resolved.pop(regex, None)
        if old is not None:
            _add(self.topics_by_regex, old.topics, -1)

    def _count(self, member: ConsumerMember, sign: int) -> None:
        _add(self.topics_by_name, member.topic_names, sign)
        if member.topic_regex:
            _add(self.regexes, (member.topic_regex,), sign)
        if member.assignor is not None:
            _add(self.assignors, (member.assignor,), sign)
        if member.classic is not None:
            self.classic_members += sign
            _add(self.classic_protocols, (name for name, _ in member.classic.protocols), sign)

    def _own(self, partitions: Owned, epoch: int) -> None:
        for topic_id, numbers in partitions.items():
            epochs = self.owner_epochs.setdefault(topic_id, {})
            for partition in numbers:
                epochs[partition] = max(epoch, epochs.get(partition, epoch))

    def _release(self, member: ConsumerMember) -> None:
        for partitions in (member.assigned, member.revoking):
            for topic_id, numbers in partitions.items():
                epochs = self.owner_epochs.get(topic_id)
                if epochs is None:
                    continue
                for partition in numbers:
                    # Records of one batch are replayed one by one: another member may have it already.
                    if epochs.get(partition) == member.member_epoch:
                        del epochs[partition]
                if not epochs:
                    del self.owner_epochs[topic_id]


def _add(counter: Counter[str], names: Iterable[str], sign: int) -> None:
    """Count names up or down; what is at 0 is not in it."""
    for name in names:
        count = counter[name] + sign
        if count > 0:
            counter[name] = count
        else:
            del counter[name]

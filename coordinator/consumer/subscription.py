"""What a group subscribes to, as it will be once the change under decision is written.

    by name     a topic counts once for each member that names it
    by pattern  a topic counts once for each pattern that matches it, however many members subscribe to the pattern

Source: Kafka group-coordinator, ConsumerGroup.java (computeSubscribed…), SubscriptionCount.java.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping

    from coordinator.consumer.group import ConsumerGroup, ResolvedRegex
    from coordinator.consumer.member import ConsumerMember


class Subscriptions:
    """A copy of a group's counts, to be changed."""

    __slots__ = ("by_name", "by_regex", "regexes", "resolved")

    def __init__(self, group: ConsumerGroup) -> None:
        self.by_name: Counter[str] = group.topics_by_name.copy()
        self.by_regex: Counter[str] = group.topics_by_regex.copy()
        self.regexes: Counter[str] = group.regexes.copy()
        self.resolved: dict[str, ResolvedRegex] = dict(group.resolved)

    @property
    def topics(self) -> set[str]:
        """Names, of topics that exist or not."""
        return {*(+self.by_name), *(+self.by_regex)}

    def swap(self, old: ConsumerMember | None, new: ConsumerMember | None) -> None:
        """Let one member's subscription take the place of another's; patterns that nobody has any more stay
        resolved until they are dropped."""
        for member, sign in ((old, -1), (new, 1)):
            if member is None:
                continue
            for name in member.topic_names:
                self.by_name[name] += sign
            if member.topic_regex:
                self.regexes[member.topic_regex] += sign

    def resolve(self, regex: str, resolved: ResolvedRegex) -> None:
        self.drop(regex)
        self.resolved[regex] = resolved
        for name in resolved.topics:
            self.by_regex[name] += 1

    def drop(self, regex: str) -> None:
        """Forget what a pattern matched."""
        old = self.resolved.pop(regex, None)
        if old is not None:
            for name in old.topics:
                self.by_regex[name] -= 1


def topics_of(member: ConsumerMember, resolved: Mapping[str, ResolvedRegex]) -> Iterable[str]:
    """Return the names that a member subscribes to; a pattern that was not resolved matches nothing."""
    if not member.topic_regex:
        return member.topic_names
    matched = resolved.get(member.topic_regex)
    return member.topic_names if matched is None else member.topic_names | matched.topics

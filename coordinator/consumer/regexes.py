"""Keeps what the patterns of a group's members match.

A pattern is resolved with the heartbeat that brings it, so that its member need not wait for the next to be given
partitions, as in Kafka, where that happens aside. All of a group's patterns are looked at again when topics changed,
at most once in 10 s, and every `group.consumer.regex.refresh.interval.ms`.
Source: KIP-848; Kafka group-coordinator, GroupMetadataManager.java (maybeUpdateRegularExpressions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from coordinator.consumer import records
from coordinator.consumer.group import ResolvedRegex

if TYPE_CHECKING:
    from coordinator.consumer.group import ConsumerGroup
    from coordinator.consumer.member import ConsumerMember
    from coordinator.consumer.subscription import Subscriptions
    from coordinator.group_state import GroupState
    from coordinator.shard import Effects
    from protocol.types import TimestampMs

_REFRESH_INTERVAL_MS_MIN: Final = 10_000


def has_changed(old: ConsumerMember, new: ConsumerMember) -> bool:
    """Whether a member subscribes to another pattern than before."""
    return (old.topic_regex or "") != (new.topic_regex or "")


def check_new(group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember) -> None:
    """Raises: BrokerError INVALID_REGULAR_EXPRESSION for a pattern that nobody brought before."""
    regex = new.topic_regex
    if regex and has_changed(old, new) and regex not in group.regexes:
        from coordinator.assignors.regex import validate  # noqa: PLC0415 - its library is loaded when needed

        validate(regex)


def refresh_due(state: GroupState, group: ConsumerGroup, now_ms: TimestampMs) -> bool:
    """Whether the patterns have to be looked at, though nobody brought a new one."""
    if not group.regexes:
        return False
    if len(group.resolved) < len(group.regexes):
        return True
    oldest_ms = min(resolved.timestamp for resolved in group.resolved.values())
    if now_ms <= oldest_ms + _REFRESH_INTERVAL_MS_MIN:
        return False
    if now_ms > oldest_ms + state.config.consumer_regex_refresh_interval_ms:
        return True
    return any(resolved.version < state.topics.version for resolved in group.resolved.values())


def update(
    state: GroupState,
    group: ConsumerGroup,
    subscriptions: Subscriptions,
    now_ms: TimestampMs,
    effects: Effects,
) -> bool:
    """Resolve what is not resolved or is due, drop what nobody subscribes to; return whether topics changed by it.

    `subscriptions` is what the group subscribes to once the heartbeat is taken in, and learns what the patterns match.
    """
    version = state.topics.version
    changed = False
    all_due = refresh_due(state, group, now_ms)
    for regex in [regex for regex in subscriptions.resolved if subscriptions.regexes[regex] <= 0]:
        records.regex_gone(effects, group.group_id, regex)
        subscriptions.drop(regex)
        changed = True
    for regex, count in subscriptions.regexes.items():
        known = subscriptions.resolved.get(regex)
        if count <= 0 or (known is not None and not all_due):
            continue
        resolved = ResolvedRegex(state.topics.matching(regex), version, now_ms)
        records.resolved_regex(effects, group.group_id, regex, resolved)
        subscriptions.resolve(regex, resolved)
        changed = changed or known is None or known.topics != resolved.topics
    return changed

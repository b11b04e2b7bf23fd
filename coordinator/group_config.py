"""The settings of the group coordinator: plain values, made from the broker's properties.

Each is the property of the same name in Kafka's GroupCoordinatorConfig.java; times in milliseconds, sizes in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """Defaults are Kafka's, but for `initial_rebalance_delay_ms`, which the broker sets as its own default says."""

    session_timeout_ms_min: int = 6_000
    session_timeout_ms_max: int = 1_800_000
    initial_rebalance_delay_ms: int = 3_000
    group_size_max: int = 2**31 - 1
    offset_metadata_bytes_max: int = 4_096
    offsets_retention_ms: int = 10_080 * 60_000
    offsets_retention_check_interval_ms: int = 600_000

    consumer_session_timeout_ms: int = 45_000
    consumer_session_timeout_ms_min: int = 45_000
    consumer_session_timeout_ms_max: int = 60_000
    consumer_heartbeat_interval_ms: int = 5_000
    consumer_heartbeat_interval_ms_min: int = 5_000
    consumer_heartbeat_interval_ms_max: int = 15_000
    consumer_group_size_max: int = 2**31 - 1
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
    """The first is for groups whose members name none."""
    consumer_migration_policy: str = "bidirectional"
    """Whether a group may change its protocol while it has members: bidirectional, upgrade, downgrade, disabled."""
    consumer_assignment_interval_ms: int = 1_000
    """At least so long between two assignments of a group."""
    consumer_assignment_interval_ms_min: int = 0
    consumer_assignment_interval_ms_max: int = 15_000
    consumer_regex_refresh_interval_ms: int = 600_000


def with_own_settings(
    config: GroupConfig,
    *,
    session_timeout_ms: int | None,
    heartbeat_interval_ms: int | None,
    assignment_interval_ms: int | None,
) -> GroupConfig:
    """Return what holds for a consumer group that has set these for itself (None: it has not).

    They were within the bounds when they were set; where the bounds have moved since, they end at them.
    """
    return replace(
        config,
        consumer_session_timeout_ms=_within(
            session_timeout_ms,
            config.consumer_session_timeout_ms,
            config.consumer_session_timeout_ms_min,
            config.consumer_session_timeout_ms_max,
        ),
        consumer_heartbeat_interval_ms=_within(
            heartbeat_interval_ms,
            config.consumer_heartbeat_interval_ms,
            config.consumer_heartbeat_interval_ms_min,
            config.consumer_heartbeat_interval_ms_max,
        ),
        consumer_assignment_interval_ms=_within(
            assignment_interval_ms,
            config.consumer_assignment_interval_ms,
            config.consumer_assignment_interval_ms_min,
            config.consumer_assignment_interval_ms_max,
        ),
    )


def _within(own: int | None, default: int, low: int, high: int) -> int:
    return default if own is None else max(low, min(own, high))

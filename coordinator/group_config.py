"""The settings of the group coordinator: plain values, made from the broker's properties.

Each is the property of the same name in Kafka's GroupCoordinatorConfig.java; times in milliseconds, sizes in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass


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
    consumer_regex_refresh_interval_ms: int = 600_000

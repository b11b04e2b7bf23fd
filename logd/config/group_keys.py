"""The properties of the group coordinator, and the settings that they make.

Names, meanings and, but for `differs`, defaults are those of Kafka 4.3 GroupCoordinatorConfig.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from logd.config.key import INT_MAX, ConfigKey, Value

if TYPE_CHECKING:
    from coordinator.group_config import GroupConfig

_MINUTE_MS = 60_000

GROUP_KEYS: tuple[ConfigKey, ...] = (
    # -- classic groups ----------------------------------------------------------------------------------
    ConfigKey(
        "group.min.session.timeout.ms",
        "int",
        6_000,
        "Shortest session that a member of a classic group may ask for, in milliseconds.",
    ),
    ConfigKey(
        "group.max.session.timeout.ms",
        "int",
        1_800_000,
        "Longest session that a member of a classic group may ask for, in milliseconds.",
    ),
    ConfigKey(
        "group.initial.rebalance.delay.ms",
        "int",
        0,
        "How long an empty classic group waits for more members after the first, in milliseconds.",
        kafka_default=3_000,
        differs="a single consumer, as in development and tests, need not wait for others; set 3000 where many "
        "consumers start together",
    ),
    ConfigKey("group.max.size", "int", INT_MAX, "Most members that a classic group may have.", low=1),
    # -- consumer groups (KIP-848) -----------------------------------------------------------------------
    ConfigKey(
        "group.consumer.session.timeout.ms",
        "int",
        45_000,
        "A member of a consumer group is fenced when it sends no heartbeat for so long, in milliseconds.",
        low=1,
    ),
    ConfigKey(
        "group.consumer.min.session.timeout.ms",
        "int",
        45_000,
        "Lower bound of a group's own consumer.session.timeout.ms.",
        low=1,
    ),
    ConfigKey(
        "group.consumer.max.session.timeout.ms",
        "int",
        60_000,
        "Upper bound of a group's own consumer.session.timeout.ms.",
        low=1,
    ),
    ConfigKey(
        "group.consumer.heartbeat.interval.ms",
        "int",
        5_000,
        "How often the members of a consumer group are told to send heartbeats, in milliseconds.",
        low=1,
    ),
    ConfigKey(
        "group.consumer.min.heartbeat.interval.ms",
        "int",
        5_000,
        "Lower bound of a group's own consumer.heartbeat.interval.ms.",
        low=1,
    ),
    ConfigKey(
        "group.consumer.max.heartbeat.interval.ms",
        "int",
        15_000,
        "Upper bound of a group's own consumer.heartbeat.interval.ms.",
        low=1,
    ),
    ConfigKey(
        "group.consumer.max.size", "int", INT_MAX, "Most members that a consumer group may have.", low=1
    ),
    ConfigKey(
        "group.consumer.assignors",
        "list",
        ("uniform", "range"),
        "Server-side assignors, the first for groups whose members name none.",
        choices=("uniform", "range"),
    ),
    ConfigKey(
        "group.consumer.migration.policy",
        "string",
        "bidirectional",
        "Whether a group with members may change between the classic and the consumer protocol.",
        choices=("bidirectional", "upgrade", "downgrade", "disabled"),
    ),
    ConfigKey(
        "group.consumer.assignment.interval.ms",
        "int",
        1_000,
        "Shortest time between two assignments of a consumer group, in milliseconds.",
        low=0,
        dynamic=True,
    ),
    ConfigKey(
        "group.consumer.min.assignment.interval.ms",
        "int",
        0,
        "Lower bound of a group's own consumer.assignment.interval.ms.",
        low=0,
    ),
    ConfigKey(
        "group.consumer.max.assignment.interval.ms",
        "int",
        15_000,
        "Upper bound of a group's own consumer.assignment.interval.ms.",
        low=0,
    ),
    ConfigKey(
        "group.consumer.regex.refresh.interval.ms",
        "int",
        600_000,
        "How often the topics that regular expressions subscribe to are looked up again, in milliseconds.",
        low=10_000,
    ),
    # -- offsets -----------------------------------------------------------------------------------------
    ConfigKey(
        "offset.metadata.max.bytes",
        "int",
        4_096,
        "Longest text that may be committed with an offset, in bytes.",
    ),
    ConfigKey(
        "offsets.retention.minutes",
        "int",
        10_080,
        "Committed offsets go when a group has been empty, or a topic not subscribed to, for so long.",
        low=1,
    ),
    ConfigKey(
        "offsets.retention.check.interval.ms",
        "long",
        600_000,
        "How often expired offsets are looked for, in milliseconds.",
        low=1,
    ),
    ConfigKey(
        "offsets.topic.num.partitions",
        "int",
        50,
        "Partitions of the topic of committed offsets. Must not change once the topic exists.",
        low=1,
    ),
    ConfigKey(
        "offsets.topic.replication.factor",
        "short",
        1,
        "Replicas of the topic of committed offsets.",
        low=1,
        kafka_default=3,
        differs="one node has one replica to give",
    ),
    ConfigKey(
        "offsets.topic.segment.bytes",
        "int",
        104_857_600,
        "Segment size of the topic of committed offsets.",
        low=1 << 20,  # as of segment.bytes: the topic could not be created
    ),
)


_RANGES = (
    ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
    ("group.consumer.min.session.timeout.ms", "group.consumer.session.timeout.ms"),
    ("group.consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    ("group.consumer.min.heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
    ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms"),
    ("group.consumer.min.assignment.interval.ms", "group.consumer.assignment.interval.ms"),
    ("group.consumer.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
)
"""The first must not be above the second."""


def group_values(given: Mapping[str, Value]) -> dict[str, Value]:
    """Return every property of groups with its value: what was `given`, else the default."""
    return {key.name: given.get(key.name, key.default) for key in GROUP_KEYS}


def group_problem(given: Mapping[str, Value]) -> str | None:
    """Return in words what is wrong between the properties of groups, None when nothing is."""
    values = group_values(given)
    for low, high in _RANGES:
        if cast(int, values[low]) > cast(int, values[high]):
            return f"{low} ({values[low]}) is above {high} ({values[high]})"
    if not values["group.consumer.assignors"]:
        return "group.consumer.assignors names none"
    return None


def group_config(given: Mapping[str, Value]) -> GroupConfig:
    """Return the coordinator's settings; `given` has what was set."""
    from coordinator.group_config import GroupConfig  # noqa: PLC0415 - a start without groups does not need it

    values = group_values(given)

    def number(name: str) -> int:
        return cast(int, values[name])

    return GroupConfig(
        session_timeout_ms_min=number("group.min.session.timeout.ms"),
        session_timeout_ms_max=number("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms=number("group.initial.rebalance.delay.ms"),
        group_size_max=number("group.max.size"),
        offset_metadata_bytes_max=number("offset.metadata.max.bytes"),
        offsets_retention_ms=number("offsets.retention.minutes") * _MINUTE_MS,
        offsets_retention_check_interval_ms=number("offsets.retention.check.interval.ms"),
        consumer_session_timeout_ms=number("group.consumer.session.timeout.ms"),
        consumer_session_timeout_ms_min=number("group.consumer.min.session.timeout.ms"),
        consumer_session_timeout_ms_max=number("group.consumer.max.session.timeout.ms"),
        consumer_heartbeat_interval_ms=number("group.consumer.heartbeat.interval.ms"),
        consumer_heartbeat_interval_ms_min=number("group.consumer.min.heartbeat.interval.ms"),
        consumer_heartbeat_interval_ms_max=number("group.consumer.max.heartbeat.interval.ms"),
        consumer_group_size_max=number("group.consumer.max.size"),
        consumer_assignors=cast("tuple[str, ...]", values["group.consumer.assignors"]),
        consumer_migration_policy=cast(str, values["group.consumer.migration.policy"]),
        consumer_assignment_interval_ms=number("group.consumer.assignment.interval.ms"),
        consumer_assignment_interval_ms_min=number("group.consumer.min.assignment.interval.ms"),
        consumer_assignment_interval_ms_max=number("group.consumer.max.assignment.interval.ms"),
        consumer_regex_refresh_interval_ms=number("group.consumer.regex.refresh.interval.ms"),
    )

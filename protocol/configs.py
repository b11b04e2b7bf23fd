"""What the configuration APIs call by number: kinds of resources, operations on a setting, sources of a value.

Records of the metadata log use the first, too.
"""

from __future__ import annotations

from enum import IntEnum


class ConfigResourceType(IntEnum):
    """What has settings (Kafka: ConfigResource.Type)."""

    TOPIC = 2
    BROKER = 4
    """Named by its id, or "" for the settings of all brokers."""
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


class ConfigOperation(IntEnum):
    """What to do with one setting (Kafka: AlterConfigOp.OpType)."""

    SET = 0
    DELETE = 1
    """Back to the default."""
    APPEND = 2
    """Add to a list, starting from its default when it was not set."""
    SUBTRACT = 3


class ConfigSource(IntEnum):
    """Where a value comes from (Kafka: DescribeConfigsResponse.ConfigSource)."""

    TOPIC = 1
    NODE = 2
    """Set for this node while it ran."""
    CLUSTER = 3
    """Set for all nodes while they ran."""
    START = 4
    """Set when the broker was started."""
    DEFAULT = 5
    LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8

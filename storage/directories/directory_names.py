"""Names of the directories inside a data directory.

`<topic>-<partition>` holds a partition. With `.<32 hex digits>-delete` behind it, one that was deleted and is to be
removed; with `.<32 hex digits>-stray`, one that the cluster's metadata does not know and that was set aside. A name has
at most 255 bytes, so a long topic is cut there: what was set aside is never looked up by name.
Source: apache/kafka storage/…/log/UnifiedLog.java (logDeleteDirName, logStrayDirName, parseTopicPartitionName).
"""

from __future__ import annotations

import re

from protocol.types import TopicPartition

DELETE_SUFFIX = "-delete"
STRAY_SUFFIX = "-stray"

_NAME_MAX = 255
_UNIQUE_ID_SIZE = 16
_PARTITION_MAX = (1 << 31) - 1
_PARTITION_DIRECTORY = re.compile(r"([a-zA-Z0-9._-]{1,249})-(0|[1-9][0-9]{0,9})", re.ASCII)
_SET_ASIDE = re.compile(r".+-[0-9]+\.[0-9a-f]{32}(-delete|-stray)", re.ASCII)


def parse_partition_directory(name: str) -> TopicPartition | None:
    """The partition that a directory name stands for; None for any other name."""
    match = _PARTITION_DIRECTORY.fullmatch(name)
    if match is None:
        return None
    topic, partition = match[1], int(match[2])
    if topic in (".", "..") or partition > _PARTITION_MAX:
        return None
    return TopicPartition(topic, partition)


def set_aside_suffix(name: str) -> str | None:
    """DELETE_SUFFIX or STRAY_SUFFIX when the name ends a partition's life under that suffix, else None."""
    match = _SET_ASIDE.fullmatch(name)
    return match[1] if match else None


def set_aside_name(topic_partition: TopicPartition, unique_id: bytes, suffix: str) -> str:
    """The name under which a partition is set aside; `unique_id` is 16 random bytes."""
    ending = f"-{topic_partition.partition}.{unique_id.hex()}{suffix}"
    return topic_partition.topic[: _NAME_MAX - len(ending)] + ending


def may_be_set_aside(name: str, topic_partition: TopicPartition, suffix: str) -> bool:
    """Whether `name` may be one that `set_aside_name` gave the partition: of a long topic, the end is cut."""
    if set_aside_suffix(name) != suffix:
        return False
    unique_id = bytes.fromhex(name.removesuffix(suffix)[-2 * _UNIQUE_ID_SIZE :])
    return name == set_aside_name(topic_partition, unique_id, suffix)

"""Which topics a cluster has, and which of them a user means by names and patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from logd.cli.errors import CommandError
from logd.cli.patterns import fits, is_pattern
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.metadata import MetadataResponse
from protocol.types import uuid_to_str

Topic = MetadataResponse.MetadataResponseTopic


class Selection(NamedTuple):
    """What names and patterns led to."""

    topics: list[Topic]
    failures: dict[str, BrokerError]
    """By name or pattern: why there is no topic for it."""


async def select_topics(
    cluster: ClusterClient, wanted: Sequence[str], *, internal: bool = False
) -> Selection:
    """Look up `wanted`, all topics when it is empty, in the order of their names.

    Internal topics are among those of a pattern, or of an empty `wanted`, only with `internal`.
    """
    names = [name for name in wanted if not is_pattern(name)]
    patterns = [name for name in wanted if is_pattern(name)]
    everything = not wanted or bool(patterns)
    response = await cluster.metadata(None if everything else list(dict.fromkeys(names)))
    found = {topic.name or "": topic for topic in response.topics}
    chosen: dict[str, Topic] = {}
    failures: dict[str, BrokerError] = {}
    for name in names:
        row = found.get(name)
        if row is None or row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            failures[name] = unknown_topic(name)
        elif row.error_code != ErrorCode.NONE and not row.partitions:
            failures[name] = broker_error(row.error_code, None)
        else:
            chosen[name] = row
    listed = {name: row for name, row in found.items() if internal or not row.is_internal}
    for pattern in patterns or ([] if wanted else ["*"]):
        fitting = {name: row for name, row in listed.items() if fits(name, pattern)}
        if not fitting and wanted:
            text = f"no topic fits {pattern!r}; `logd topic list` lists them"
            failures[pattern] = BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text)
        chosen |= fitting
    return Selection([chosen[name] for name in sorted(chosen)], failures)


async def partitions_of(cluster: ClusterClient, topic: str, wanted: Sequence[int] | None) -> list[int]:
    """The partitions of one topic, or those `wanted`, which must be there. Raises: BrokerError; CommandError."""
    found, failures = await select_topics(cluster, [topic])
    for error in failures.values():
        raise error
    there = sorted(row.partition_index for row in found[0].partitions)
    for each in wanted or ():
        if each not in there:
            raise CommandError(f"topic {topic} has no partition {each}", f"it has {len(there)}")
    return there if wanted is None else sorted(set(wanted))


def unknown_topic(name: str) -> BrokerError:
    text = f"there is no topic {name}; `logd topic list` lists them"
    return BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, text)


def replication_factor(topic: Topic) -> int:
    return max((len(row.replica_nodes) for row in topic.partitions), default=0)


def topic_id(topic: Topic) -> str:
    return uuid_to_str(topic.topic_id)

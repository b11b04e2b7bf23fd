"""`logd topic describe`.

JSON: an array of {topic, id, internal, replication_factor, size_bytes, partitions, settings}; of `partitions` each is
{partition, leader, leader_epoch, replicas, isr, offline, start_offset, end_offset, size_bytes, cleaned_to, dirty_ratio,
uncleanable}, of `settings`, which leaves Kafka's defaults out, {name, value, source, dynamic, sensitive}. What is not
known is null; leader is null where there is none; the last three of a partition are null where the topic is not
compacted or the broker is no logd.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import NamedTuple

from logd.cli import output
from logd.cli.compaction import Described, describe_compaction, dirty_ratio
from logd.cli.connection import explain, run_with_client
from logd.cli.offsets import END, START, list_offsets
from logd.cli.outcomes import tell_failures
from logd.cli.settings import Resource, Setting, describe_settings
from logd.cli.sizes import leader_sizes, total_size
from logd.cli.topics import Topic, replication_factor, select_topics, topic_id
from logd.clients.cluster_client import ClusterClient
from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError
from protocol.messages.metadata import MetadataResponse
from protocol.types import Offset, TopicPartition

_Row = MetadataResponse.MetadataResponsePartition


class _Facts(NamedTuple):
    """What other requests than Metadata say of the topics; left out is what they did not say."""

    starts: dict[TopicPartition, Offset | BrokerError]
    ends: dict[TopicPartition, Offset | BrokerError]
    sizes: dict[tuple[str, int], int]
    settings: dict[Resource, list[Setting] | BrokerError]
    compaction: dict[TopicPartition, Described | BrokerError]


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        topics, failures = await select_topics(cluster, options.topics)
        if topics:
            facts = await _gather(cluster, topics)
            if options.json:
                output.print_json([_topic_row(topic, facts) for topic in topics])
            else:
                output.print_each(topics, lambda topic: _print(topic, facts))
            output.flush()
        return tell_failures(failures.values())

    return run_with_client(options, work)


async def _gather(cluster: ClusterClient, topics: list[Topic]) -> _Facts:
    led = [
        TopicPartition(topic.name or "", row.partition_index)
        for topic in topics
        for row in topic.partitions
        if row.leader_id >= 0
    ]
    return _Facts(
        *await asyncio.gather(
            list_offsets(cluster, led, START),
            list_offsets(cluster, led, END),
            _sizes(cluster, topics),
            _settings(cluster, topics),
            _compaction(cluster, led),
        )
    )


async def _sizes(cluster: ClusterClient, topics: list[Topic]) -> dict[tuple[str, int], int]:
    try:
        return await leader_sizes(cluster, topics)
    except BrokerError:  # the rest is worth showing without them
        return {}


async def _settings(
    cluster: ClusterClient, topics: list[Topic]
) -> dict[Resource, list[Setting] | BrokerError]:
    try:
        return await describe_settings(
            cluster, [Resource(ConfigResourceType.TOPIC, topic.name or "") for topic in topics]
        )
    except BrokerError as error:
        return {Resource(ConfigResourceType.TOPIC, topic.name or ""): error for topic in topics}


async def _compaction(
    cluster: ClusterClient, led: list[TopicPartition]
) -> dict[TopicPartition, Described | BrokerError]:
    try:
        return await describe_compaction(cluster, led)
    except BrokerError:  # of another broker than logd nobody can know it
        return {}


def _print(topic: Topic, facts: _Facts) -> None:
    size = output.format_size(total_size(topic, facts.sizes))
    head = [
        f"id={topic_id(topic)}",
        f"partitions={len(topic.partitions)}",
        f"replication={replication_factor(topic)}",
        *([f"size={size}"] if size else []),
        *(["internal"] if topic.is_internal else []),
    ]
    output.print_line(f"{topic.name}  {'  '.join(head)}")
    headers = ["PARTITION", "LEADER", "REPLICAS", "ISR", "START", "END", "SIZE"]
    rows = [_cells(topic, row, facts) for row in _partitions(topic)]
    compaction = [_compaction_of(topic, row, facts) for row in _partitions(topic)]
    if any(compaction):
        headers += ["CLEAN TO", "DIRTY"]
        rows = [[*cells, *_compaction_cells(each)] for cells, each in zip(rows, compaction, strict=True)]
    output.print_table(headers, rows, indent="  ")
    for found in compaction:
        if found is not None and found.uncleanable is not None:
            index, reason = found.partition_index, found.uncleanable
            output.print_line(f"  partition {index} is not compacted any more: {reason}")
    settings = _changed(topic, facts)
    if isinstance(settings, BrokerError):
        output.print_line(f"  settings: not known: {explain(settings)}")
    for each in settings if isinstance(settings, list) else []:
        output.print_line(f"  {each.name}={each.text()}  ({each.source})")


def _cells(topic: Topic, row: _Row, facts: _Facts) -> list[output.Cell]:
    key = TopicPartition(topic.name or "", row.partition_index)
    return [
        row.partition_index,
        row.leader_id if row.leader_id >= 0 else None,
        _list(row.replica_nodes),
        _list(row.isr_nodes),
        _offset(facts.starts.get(key)),
        _offset(facts.ends.get(key)),
        output.format_size(facts.sizes.get(key)),
    ]


def _compaction_of(topic: Topic, row: _Row, facts: _Facts) -> Described | None:
    found = facts.compaction.get(TopicPartition(topic.name or "", row.partition_index))
    return None if isinstance(found, BrokerError) else found


def _compaction_cells(found: Described | None) -> list[output.Cell]:
    ratio = None if found is None else dirty_ratio(found)
    return [_cleaned_to(found), None if ratio is None else f"{100 * ratio:.0f} %"]


def _cleaned_to(found: Described | None) -> Offset | None:
    return None if found is None or found.cleaned_to < 0 else found.cleaned_to


def _topic_row(topic: Topic, facts: _Facts) -> dict[str, object]:
    settings = _changed(topic, facts)
    return {
        "topic": topic.name,
        "id": topic_id(topic),
        "internal": topic.is_internal,
        "replication_factor": replication_factor(topic),
        "size_bytes": total_size(topic, facts.sizes),
        "partitions": [_partition_row(topic, row, facts) for row in _partitions(topic)],
        "settings": None if isinstance(settings, BrokerError) else [each.row() for each in settings],
    }


def _partition_row(topic: Topic, row: _Row, facts: _Facts) -> dict[str, object]:
    key = TopicPartition(topic.name or "", row.partition_index)
    compaction = _compaction_of(topic, row, facts)
    return {
        "partition": row.partition_index,
        "leader": row.leader_id if row.leader_id >= 0 else None,
        "leader_epoch": row.leader_epoch,
        "replicas": row.replica_nodes,
        "isr": row.isr_nodes,
        "offline": row.offline_replicas,
        "start_offset": _offset(facts.starts.get(key)),
        "end_offset": _offset(facts.ends.get(key)),
        "size_bytes": facts.sizes.get(key),
        "cleaned_to": _cleaned_to(compaction),
        "dirty_ratio": None if compaction is None else dirty_ratio(compaction),
        "uncleanable": None if compaction is None else compaction.uncleanable,
    }


def _changed(topic: Topic, facts: _Facts) -> list[Setting] | BrokerError:
    settings = facts.settings.get(Resource(ConfigResourceType.TOPIC, topic.name or ""), [])
    if isinstance(settings, BrokerError):
        return settings
    return [each for each in settings if not each.is_default]


def _partitions(topic: Topic) -> list[_Row]:
    return sorted(topic.partitions, key=lambda row: row.partition_index)


def _offset(answer: Offset | BrokerError | None) -> Offset | None:
    return answer if isinstance(answer, int) else None


def _list(nodes: list[int]) -> str:
    return ",".join(map(str, nodes)) or "-"

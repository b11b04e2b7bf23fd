"""`logd topic list`.

JSON: an array of {topic, id, partitions, replication_factor, internal}, with size_bytes when --size is given.
"""

from __future__ import annotations

import argparse

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.outcomes import tell_failures
from logd.cli.sizes import leader_sizes, total_size
from logd.cli.topics import Topic, replication_factor, select_topics, topic_id
from logd.clients.cluster_client import ClusterClient


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        topics, failures = await select_topics(cluster, options.topics, internal=options.internal)
        sizes = await _sizes(cluster, topics) if options.size else {}
        if topics or not failures:
            _print(options, topics, sizes)
        return tell_failures(failures.values())

    return run_with_client(options, work)


async def _sizes(cluster: ClusterClient, topics: list[Topic]) -> dict[str, int | None]:
    by_partition = await leader_sizes(cluster, topics)
    return {topic.name or "": total_size(topic, by_partition) for topic in topics}


def _print(options: argparse.Namespace, topics: list[Topic], sizes: dict[str, int | None]) -> None:
    if options.json:
        output.print_json([_row(topic) | _size_row(options, topic, sizes) for topic in topics])
    elif options.quiet:
        for topic in topics:
            output.print_line(topic.name or "")
    else:
        headers = ["TOPIC", "PARTITIONS", "REPLICATION", *(["SIZE"] if options.size else [])]
        rows: list[list[output.Cell]] = []
        for topic in topics:
            row: list[output.Cell] = [topic.name, len(topic.partitions), replication_factor(topic)]
            rows.append([*row, output.format_size(sizes[topic.name or ""])] if options.size else row)
        output.print_table(headers, rows)
    output.flush()


def _row(topic: Topic) -> dict[str, object]:
    return {
        "topic": topic.name,
        "id": topic_id(topic),
        "partitions": len(topic.partitions),
        "replication_factor": replication_factor(topic),
        "internal": topic.is_internal,
    }


def _size_row(options: argparse.Namespace, topic: Topic, sizes: dict[str, int | None]) -> dict[str, object]:
    return {"size_bytes": sizes[topic.name or ""]} if options.size else {}

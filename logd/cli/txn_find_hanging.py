"""`logd txn find-hanging`: transactions that are open in a partition and that nobody will end.

JSON: an array of {topic, partition, producer_id, producer_epoch, coordinator_epoch, start_offset, last_timestamp_ms,
idle_ms, transactional_id}; transactional_id is null where no coordinator knows the producer.
"""

from __future__ import annotations

import argparse
import time

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.group_partitions import chosen_partitions
from logd.cli.open_transactions import Hanging, OpenTransaction, hanging_among, open_transactions
from logd.cli.outcomes import tell_failures
from logd.clients.cluster_client import ClusterClient
from protocol.errors import BrokerError
from protocol.types import TopicPartition


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        partitions = await _partitions(options, cluster)
        found = await open_transactions(cluster, partitions, node_id=options.node)
        now_ms = int(time.time() * 1000)
        candidates = sorted(
            each
            for answer in found.values()
            if not isinstance(answer, BrokerError)
            for each in answer
            if now_ms - each.last_timestamp_ms > options.older_than
        )
        _print(options, await hanging_among(cluster, candidates, timeout_s=options.timeout), now_ms)
        failures = [answer for answer in found.values() if isinstance(answer, BrokerError)]
        return tell_failures(failures)

    return run_with_client(options, work)


async def _partitions(options: argparse.Namespace, cluster: ClusterClient) -> list[TopicPartition]:
    """Those that --topic names, else all; of these those that have a replica on the node of --node."""
    if options.node is not None:
        await cluster.node(options.node)  # an unknown one is refused, rather than found to have nothing
    chosen = await chosen_partitions(cluster, options.topics) if options.topics else None
    names = None if chosen is None else sorted({each.topic for each in chosen})
    return sorted(
        partition
        for topic in (await cluster.metadata(names)).topics
        for row in topic.partitions
        for partition in (TopicPartition(topic.name or "", row.partition_index),)
        if chosen is None or partition in chosen
        if options.node is None or options.node in row.replica_nodes
    )


def _print(options: argparse.Namespace, found: list[Hanging], now_ms: int) -> None:
    if options.json:
        output.print_json([_row(each, now_ms) for each in found])
    elif found:
        output.print_table(
            ("TOPIC", "PARTITION", "START OFFSET", "PRODUCER", "EPOCH", "IDLE (S)", "TRANSACTIONAL ID"),
            [
                [
                    each.partition.topic,
                    each.partition.partition,
                    each.start_offset,
                    each.producer_id,
                    each.producer_epoch,
                    _idle_ms(each, now_ms) // 1000,
                    transactional_id,
                ]
                for each, transactional_id in found
            ],
        )
    else:
        output.print_line("no transaction hangs")
    output.flush()


def _row(hanging: Hanging, now_ms: int) -> dict[str, object]:
    each = hanging.transaction
    return {
        "topic": each.partition.topic,
        "partition": each.partition.partition,
        "producer_id": each.producer_id,
        "producer_epoch": each.producer_epoch,
        "coordinator_epoch": each.coordinator_epoch,
        "start_offset": each.start_offset,
        "last_timestamp_ms": each.last_timestamp_ms,
        "idle_ms": _idle_ms(each, now_ms),
        "transactional_id": hanging.transactional_id,
    }


def _idle_ms(transaction: OpenTransaction, now_ms: int) -> int:
    return max(0, now_ms - transaction.last_timestamp_ms)

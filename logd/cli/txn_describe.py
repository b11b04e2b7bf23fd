"""`logd txn describe`.

JSON: an array of {transactional_id, state, producer_id, producer_epoch, timeout_ms, start_ms, duration_ms, coordinator,
partitions}; coordinator is {node, host, port}, partitions an array of {topic, partition}; start_ms and duration_ms are
null while no transaction is under way.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.outcomes import gather_answers, tell_failures
from logd.cli.transactions import Transaction, describe_transaction
from logd.clients.cluster_client import ClusterClient, format_address
from logd.clients.coordinators import Coordinator, CoordinatorOf, Coordinators


class _Described(NamedTuple):
    transaction: Transaction
    coordinator: Coordinator
    duration_ms: int | None


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        ids = list(dict.fromkeys(options.ids))
        coordinators = Coordinators(cluster, options.timeout, CoordinatorOf.TRANSACTIONS)
        found, refused = await gather_answers(_describe(cluster, coordinators, each) for each in ids)
        _print(options, found)
        return tell_failures(refused)

    return run_with_client(options, work)


async def _describe(cluster: ClusterClient, coordinators: Coordinators, transactional_id: str) -> _Described:
    transaction = await describe_transaction(cluster, coordinators, transactional_id)
    start_ms = transaction.start_ms
    duration_ms = None if start_ms is None else max(0, int(time.time() * 1000) - start_ms)
    return _Described(transaction, await coordinators.find(transactional_id), duration_ms)


def _print(options: argparse.Namespace, found: list[_Described]) -> None:
    if options.json:
        output.print_json([_row(each) for each in found])
    else:
        output.print_each(found, _print_one)
    output.flush()


def _print_one(described: _Described) -> None:
    transaction, coordinator, duration_ms = described
    head = [
        f"state={transaction.state}",
        f"producer={transaction.producer_id}",
        f"epoch={transaction.producer_epoch}",
        f"timeout={transaction.timeout_ms} ms",
        *([f"under way for {duration_ms} ms"] if duration_ms is not None else []),
        f"coordinator={coordinator.node_id} ({format_address((coordinator.host, coordinator.port))})",
    ]
    output.print_line(f"{transaction.transactional_id}  {'  '.join(head)}")
    if transaction.partitions:
        output.print_table(
            ("TOPIC", "PARTITION"), [list(each) for each in transaction.partitions], indent="  "
        )


def _row(described: _Described) -> dict[str, object]:
    transaction, coordinator, duration_ms = described
    return {
        "transactional_id": transaction.transactional_id,
        "state": transaction.state,
        "producer_id": transaction.producer_id,
        "producer_epoch": transaction.producer_epoch,
        "timeout_ms": transaction.timeout_ms,
        "start_ms": transaction.start_ms,
        "duration_ms": duration_ms,
        "coordinator": {"node": coordinator.node_id, "host": coordinator.host, "port": coordinator.port},
        "partitions": [{"topic": topic, "partition": number} for topic, number in transaction.partitions],
    }

"""`logd txn list`.

JSON: an array of {transactional_id, state, producer_id, coordinator}; coordinator is a node's id.
"""

from __future__ import annotations

import argparse

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.errors import CommandError
from logd.cli.patterns import fits, is_pattern
from logd.cli.transactions import ListedTransaction, list_transactions
from logd.clients.cluster_client import ClusterClient


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        listed = await list_transactions(
            cluster,
            states=options.states,
            producer_ids=options.producer_ids,
            longer_than_ms=options.older_than,
            timeout_s=options.timeout,
        )
        _print(
            options,
            [
                each
                for each in listed
                if not options.ids or any(fits(each.transactional_id, name) for name in options.ids)
            ],
        )
        for name in options.ids:
            if not any(fits(each.transactional_id, name) for each in listed):
                filtered = options.states or options.producer_ids or options.older_than is not None
                raise CommandError(_nothing(name, filtered=bool(filtered)), "without a name, all are listed")
        return 0

    return run_with_client(options, work)


def _nothing(name: str, *, filtered: bool) -> str:
    what = (
        f"no transactional id fits {name!r}" if is_pattern(name) else f"there is no transactional id {name}"
    )
    return f"{what} among those asked for" if filtered else what


def _print(options: argparse.Namespace, found: list[ListedTransaction]) -> None:
    if options.json:
        output.print_json(
            [
                {
                    "transactional_id": each.transactional_id,
                    "state": each.state,
                    "producer_id": each.producer_id,
                    "coordinator": each.node_id,
                }
                for each in found
            ]
        )
    elif options.quiet:
        for each in found:
            output.print_line(each.transactional_id)
    else:
        output.print_table(
            ("TRANSACTIONAL ID", "STATE", "PRODUCER", "COORDINATOR"),
            [[each.transactional_id, each.state, each.producer_id, each.node_id] for each in found],
        )
    output.flush()

"""`logd group list`.

JSON: an array of {group, type, state, protocol_type, coordinator, members}; coordinator is a node's id, and members how
many there are, null where that is not known.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.errors import CommandError
from logd.cli.group_details import count_members
from logd.cli.groups import ListedGroup, list_groups
from logd.cli.patterns import fits, is_pattern
from logd.clients.cluster_client import ClusterClient
from protocol.errors import BrokerError
from protocol.types import NodeId

_PORTION = 500  # groups that one request asks about


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        listed = await list_groups(cluster, timeout_s=options.timeout)
        groups = [group for group in listed if _is_wanted(options, group)]
        _print(options, groups, {} if options.quiet else await _members(cluster, groups))
        for name in options.groups:
            if not any(fits(group.group_id, name) for group in listed):
                what = f"no group fits {name!r}" if is_pattern(name) else f"there is no group {name}"
                raise CommandError(what, "without a name, all are listed")
        return 0

    return run_with_client(options, work)


def _is_wanted(options: argparse.Namespace, group: ListedGroup) -> bool:
    return (
        (not options.groups or any(fits(group.group_id, name) for name in options.groups))
        and (not options.states or group.state.lower() in options.states)
        and (not options.types or group.type in options.types)
    )


async def _members(cluster: ClusterClient, groups: list[ListedGroup]) -> dict[str, int]:
    """How many members each has, as far as coordinators say."""
    asked: dict[tuple[NodeId, str], list[str]] = defaultdict(list)
    for group in groups:
        asked[group.node_id, group.type].append(group.group_id)

    async def count(node_id: NodeId, group_type: str, group_ids: list[str]) -> dict[str, int]:
        try:
            return await count_members(cluster, await cluster.node(node_id), group_type, group_ids)
        except BrokerError:  # the rest is worth showing without it
            return {}

    answers = await asyncio.gather(
        *(
            count(node_id, group_type, group_ids[at : at + _PORTION])
            for (node_id, group_type), group_ids in asked.items()
            for at in range(0, len(group_ids), _PORTION)
        )
    )
    return {group_id: members for answer in answers for group_id, members in answer.items()}


def _print(options: argparse.Namespace, groups: list[ListedGroup], members: dict[str, int]) -> None:
    if options.json:
        output.print_json(
            [
                {
                    "group": each.group_id,
                    "type": each.type,
                    "state": each.state,
                    "protocol_type": each.protocol_type,
                    "coordinator": each.node_id,
                    "members": members.get(each.group_id),
                }
                for each in groups
            ]
        )
    elif options.quiet:
        for group in groups:
            output.print_line(group.group_id)
    else:
        output.print_table(
            ("GROUP", "TYPE", "STATE", "PROTOCOL", "COORDINATOR", "MEMBERS"),
            [
                [
                    each.group_id,
                    each.type,
                    each.state,
                    each.protocol_type or None,
                    each.node_id,
                    members.get(each.group_id),
                ]
                for each in groups
            ],
        )
    output.flush()

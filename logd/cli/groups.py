"""Which groups a cluster has, and what their coordinators say of them, whatever protocol they use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from logd.cli.loaded import ask_when_loaded
from logd.cli.patterns import fits, is_pattern
from logd.clients.cluster_client import ClusterClient
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from protocol.types import NodeId

CLASSIC = "classic"
CONSUMER = "consumer"


class ListedGroup(NamedTuple):
    """A group as its coordinator lists it."""

    group_id: str
    node_id: NodeId
    type: str
    """classic, consumer, share or streams."""
    state: str
    protocol_type: str
    """`consumer` for groups of consumers, whatever their type; empty for a classic group without members."""


class Selection(NamedTuple):
    """What names and patterns led to."""

    group_ids: list[str]
    failures: dict[str, BrokerError]
    """By pattern: why there is no group for it."""


async def list_groups(cluster: ClusterClient, *, timeout_s: float) -> list[ListedGroup]:
    """All groups of all nodes, in the order of their names. A node that still loads its groups is waited for."""
    nodes = (await cluster.metadata([])).brokers
    answers = await asyncio.gather(*(_list_on(cluster, row.node_id, timeout_s) for row in nodes))
    return sorted(group for answer in answers for group in answer)


async def select_groups(cluster: ClusterClient, wanted: Sequence[str], *, timeout_s: float) -> Selection:
    """The groups that names and patterns stand for. Whether there is one for a name, its coordinator knows."""
    chosen = dict.fromkeys(name for name in wanted if not is_pattern(name))
    patterns = [name for name in wanted if is_pattern(name)]
    failures: dict[str, BrokerError] = {}
    listed = await list_groups(cluster, timeout_s=timeout_s) if patterns else []
    for pattern in patterns:
        fitting = [group.group_id for group in listed if fits(group.group_id, pattern)]
        if not fitting:
            text = f"no group fits {pattern!r}; `logd group list` lists them"
            failures[pattern] = BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, text)
        chosen |= dict.fromkeys(fitting)
    return Selection(list(chosen), failures)


def unknown_group(group_id: str) -> BrokerError:
    text = f"there is no group {group_id}; `logd group list` lists them"
    return BrokerError(ErrorCode.GROUP_ID_NOT_FOUND, text)


async def _list_on(cluster: ClusterClient, node_id: NodeId, timeout_s: float) -> list[ListedGroup]:
    async def ask() -> ListGroupsResponse:
        answer: ListGroupsResponse = await cluster.call(ListGroupsRequest(), node=node_id)
        return answer

    response = await ask_when_loaded(ask, timeout_s)
    return [
        # Types are named from version 5 on; before it every group was a classic one.
        ListedGroup(
            row.group_id, node_id, row.group_type.lower() or CLASSIC, row.group_state, row.protocol_type
        )
        for row in response.groups
    ]

"""`logd group delete`.

JSON: an array of {group, deleted, error}.
"""

from __future__ import annotations

import argparse
import asyncio

from logd.cli.confirm import confirm
from logd.cli.connection import refusal, run_with_client
from logd.cli.groups import select_groups, unknown_group
from logd.cli.outcomes import Outcome, print_outcomes
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient, broker_error
from logd.clients.coordinators import Coordinators
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.delete_groups import DeleteGroupsRequest, DeleteGroupsResponse

_NAMED_IN_QUESTION = 5


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        group_ids, failures = await select_groups(cluster, options.groups, timeout_s=options.timeout)
        outcomes = []
        if not options.if_exists:
            outcomes = [
                Outcome({"group": pattern, "deleted": False}, "", error)
                for pattern, error in failures.items()
            ]
        if group_ids and not options.yes:
            await confirm(_question(group_ids))
        coordinators = Coordinators(cluster, options.timeout)
        outcomes += await asyncio.gather(
            *(_delete(options, cluster, coordinators, each) for each in group_ids)
        )
        return print_outcomes(options, outcomes)

    return run_with_client(options, work)


async def _delete(
    options: argparse.Namespace, cluster: ClusterClient, coordinators: Coordinators, group_id: str
) -> Outcome:
    async def delete(coordinator: Client) -> None:
        request = DeleteGroupsRequest(groups_names=[group_id])
        response: DeleteGroupsResponse = await cluster.call_on(coordinator, request)
        result = response.results[0]
        if result.error_code != ErrorCode.NONE:
            raise broker_error(result.error_code, result.error_message)

    row: dict[str, object] = {"group": group_id}
    try:
        await coordinators.run(group_id, delete)
    except BrokerError as error:
        if error.code == ErrorCode.GROUP_ID_NOT_FOUND:
            if options.if_exists:
                return Outcome(row | {"deleted": False}, f"{group_id} does not exist")
            return Outcome(row | {"deleted": False}, "", unknown_group(group_id))
        if error.code == ErrorCode.NON_EMPTY_GROUP:
            text = (
                f"group {group_id} has members; stop them first, `logd group describe {group_id}` names them"
            )
            return Outcome(row | {"deleted": False}, "", BrokerError(error.code, text))
        return Outcome(row | {"deleted": False}, "", refusal(f"group {group_id}", error.code, error.message))
    return Outcome(row | {"deleted": True}, f"deleted {group_id}")


def _question(group_ids: list[str]) -> str:
    shown = ", ".join(group_ids[:_NAMED_IN_QUESTION])
    more = f" and {len(group_ids) - _NAMED_IN_QUESTION} more" if len(group_ids) > _NAMED_IN_QUESTION else ""
    what = "group" if len(group_ids) == 1 else f"{len(group_ids)} groups:"
    return f"delete {what} {shown}{more}, with all committed offsets?"

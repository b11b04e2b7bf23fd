"""Changing settings of one topic or broker (IncrementalAlterConfigs): what `logd config set` and `unset` share.

JSON: an array of {resource, name, operation, value, changed, error}; all of it is changed or nothing.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

from logd.cli.connection import run_with_client
from logd.cli.outcomes import Outcome, print_outcomes
from logd.cli.settings import Resource, refused
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.configs import ConfigOperation
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

SIGNS = {ConfigOperation.SET: "=", ConfigOperation.APPEND: "+=", ConfigOperation.SUBTRACT: "-="}
"""How a user writes what changes a setting."""


class Change(NamedTuple):
    """What is to happen to one setting."""

    name: str
    operation: ConfigOperation
    value: str | None

    def __str__(self) -> str:
        sign = SIGNS.get(self.operation)
        return f"unset {self.name}" if sign is None else f"set {self.name}{sign}{self.value}"


def apply(options: argparse.Namespace, resource: Resource, changes: list[Change]) -> int:
    """Have the changes made, or checked only with --dry-run; return the exit code."""

    async def work(cluster: ClusterClient) -> int:
        request = IncrementalAlterConfigsRequest(
            resources=[_resource(resource, changes)], validate_only=options.dry_run
        )
        response: IncrementalAlterConfigsResponse = await cluster.call(request, node=resource.node)
        result = response.responses[0]
        if result.error_code != ErrorCode.NONE:
            error = refused(resource, broker_error(result.error_code, result.error_message))
            if not options.json:
                raise error
            return print_outcomes(options, [_outcome(options, resource, each, error) for each in changes])
        return print_outcomes(options, [_outcome(options, resource, each, None) for each in changes])

    return run_with_client(options, work)


def _resource(
    resource: Resource, changes: list[Change]
) -> IncrementalAlterConfigsRequest.AlterConfigsResource:
    return IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=resource.kind,
        resource_name=resource.name,
        configs=[
            IncrementalAlterConfigsRequest.AlterableConfig(
                name=change.name, config_operation=change.operation, value=change.value
            )
            for change in changes
        ],
    )


def _outcome(
    options: argparse.Namespace, resource: Resource, change: Change, error: BrokerError | None
) -> Outcome:
    row: dict[str, object] = {
        "resource": str(resource),
        "name": change.name,
        "operation": _name(change.operation),
        "value": change.value,
        "changed": error is None and not options.dry_run,
    }
    return Outcome(row, f"{'could ' if options.dry_run else ''}{change} on {resource}", error)


def _name(operation: ConfigOperation) -> str:
    return "unset" if operation is ConfigOperation.DELETE else operation.name.lower()

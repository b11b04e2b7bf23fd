"""`logd cluster`.

JSON: {cluster_id, controller, nodes, features, durability}. Each of the nodes is {node, host, port, rack, fenced}, each
of the features {name, level}; durability has flush_interval_messages, flush_interval_ms (null: never by that measure)
and min_insync_replicas of the node that was asked, or is null where that does not tell.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import NamedTuple

from logd import __version__
from logd.cli import output
from logd.cli.connection import refusal, run_with_client
from logd.cli.settings import Resource, describe_settings
from logd.clients.cluster_client import ClusterClient, format_address
from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse

_NEVER = 1 << 62  # half of the largest number: nobody waits for so many records


class _Durability(NamedTuple):
    """After how many records and milliseconds a log is synced, None for never by that measure."""

    messages: int | None
    interval_ms: int | None
    min_insync_replicas: int | None

    def text(self) -> str:
        if self.messages == 1:
            return "synced to disk before every acknowledgement"
        limits = [f"every {self.messages} records"] if self.messages is not None else []
        limits += [f"within {self.interval_ms} ms"] if self.interval_ms is not None else []
        written = "acknowledged when written to the operating system"
        if limits:
            return f"{written}, synced to disk {' or '.join(limits)}"
        return f"{written}: survives kill -9, not power loss of every replica"


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        described, features, durability = await asyncio.gather(
            _describe(cluster), _features(cluster), _durability(cluster)
        )
        if options.json:
            output.print_json(_row(described, features, durability))
        else:
            _print(described, features, durability)
        return 0

    return run_with_client(options, work)


async def _describe(cluster: ClusterClient) -> DescribeClusterResponse:
    fenced = cluster.any.versions.get(DescribeClusterRequest.API_KEY, (0, 0))[1] >= 2
    response: DescribeClusterResponse = await cluster.call(
        DescribeClusterRequest(include_fenced_brokers=fenced)
    )
    error = refusal("cluster", response.error_code, response.error_message)
    if error is not None:
        raise error
    return response


async def _features(cluster: ClusterClient) -> list[tuple[str, int]]:
    request = ApiVersionsRequest(client_software_name="logd", client_software_version=__version__)
    # Version 5 asks for the node that is meant, which is not known here.
    version = min(4, cluster.any.versions[ApiVersionsRequest.API_KEY][1])
    response: ApiVersionsResponse = await cluster.call(request, version=version)
    return sorted((row.name, row.max_version_level) for row in response.finalized_features)


async def _durability(cluster: ClusterClient) -> _Durability | None:
    metadata = await cluster.metadata([])
    asked = next(
        (row.node_id for row in metadata.brokers if (row.host, row.port) == cluster.address),
        metadata.brokers[0].node_id if metadata.brokers else -1,
    )
    resource = Resource(ConfigResourceType.BROKER, str(asked))
    try:
        answer = (await describe_settings(cluster, [resource]))[resource]
    except BrokerError:
        return None
    if isinstance(answer, BrokerError):
        return None
    values = {each.name: each.value for each in answer}
    interval = values.get("log.flush.interval.ms") or values.get("log.flush.scheduler.interval.ms")
    return _Durability(
        messages=_limit(values.get("log.flush.interval.messages")),
        interval_ms=_limit(interval),
        min_insync_replicas=_limit(values.get("min.insync.replicas")),
    )


def _limit(text: str | None) -> int | None:
    number = int(text) if text is not None and text.isdigit() else _NEVER
    return number if number < _NEVER else None


def _print(
    described: DescribeClusterResponse, features: list[tuple[str, int]], durability: _Durability | None
) -> None:
    output.print_line(f"cluster {described.cluster_id}  controller={described.controller_id}")
    output.print_table(
        ("NODE", "ADDRESS", "RACK", "STATE"),
        [
            (
                row.broker_id,
                format_address((row.host, row.port)),
                row.rack,
                "fenced" if row.is_fenced else "live",
            )
            for row in sorted(described.brokers, key=lambda row: row.broker_id)
        ],
    )
    if features:
        output.print_line(f"features: {', '.join(f'{name}={level}' for name, level in features)}")
    if durability is not None:
        output.print_line(f"durability: {durability.text()}")


def _row(
    described: DescribeClusterResponse, features: list[tuple[str, int]], durability: _Durability | None
) -> dict[str, object]:
    return {
        "cluster_id": described.cluster_id,
        "controller": described.controller_id,
        "nodes": [
            {
                "node": row.broker_id,
                "host": row.host,
                "port": row.port,
                "rack": row.rack,
                "fenced": row.is_fenced,
            }
            for row in sorted(described.brokers, key=lambda row: row.broker_id)
        ],
        "features": [{"name": name, "level": level} for name, level in features],
        "durability": durability
        and {
            "flush_interval_messages": durability.messages,
            "flush_interval_ms": durability.interval_ms,
            "min_insync_replicas": durability.min_insync_replicas,
        },
    }

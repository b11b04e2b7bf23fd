"""`logd topic create`.

JSON: an array of {topic, id, partitions, replication_factor, created, error}; what is not known is null.
"""

from __future__ import annotations

import argparse
import asyncio

from logd.cli import output
from logd.cli.connection import refusal, run_with_client
from logd.cli.errors import CommandError
from logd.cli.outcomes import Outcome, print_outcomes
from logd.clients.cluster_client import ClusterClient
from protocol.errors import ErrorCode
from protocol.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from protocol.types import ZERO_UUID, uuid_to_str

_POLL_S = 0.05

_Result = CreateTopicsResponse.CreatableTopicResult


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        names = list(dict.fromkeys(options.topics))
        response: CreateTopicsResponse = await cluster.call(_request(options, names))
        by_name = {row.name: row for row in response.topics}
        outcomes = {name: _outcome(options, by_name[name]) for name in names if name in by_name}
        code = print_outcomes(options, list(outcomes.values()))
        if options.wait and not options.dry_run:
            there = [name for name, outcome in outcomes.items() if outcome.error is None]
            await _wait_for_leaders(cluster, there, options.timeout)
        return code

    return run_with_client(options, work)


def _request(options: argparse.Namespace, names: list[str]) -> CreateTopicsRequest:
    settings = [
        CreateTopicsRequest.CreatableTopicConfig(name=name, value=value)
        for name, value in dict(options.settings).items()
    ]
    topics = [
        CreateTopicsRequest.CreatableTopic(
            name=name,
            num_partitions=options.partitions,
            replication_factor=options.replication_factor,
            configs=settings,
        )
        for name in names
    ]
    return CreateTopicsRequest(
        topics=topics, timeout_ms=int(options.timeout * 1000), validate_only=options.dry_run
    )


def _outcome(options: argparse.Namespace, result: _Result) -> Outcome:
    known = result.error_code == ErrorCode.NONE
    row: dict[str, object] = {
        "topic": result.name,
        "id": None if result.topic_id == ZERO_UUID else uuid_to_str(result.topic_id),
        "partitions": result.num_partitions if known and result.num_partitions > 0 else None,
        "replication_factor": result.replication_factor if known and result.replication_factor > 0 else None,
        "created": known and not options.dry_run,
    }
    if known:
        partitions = output.format_count(result.num_partitions, "partition")
        shape = f"{partitions}, replication factor {result.replication_factor}"
        done = f"{result.name} could be created" if options.dry_run else f"created {result.name}"
        return Outcome(row, f"{done}: {shape}")
    if result.error_code == ErrorCode.TOPIC_ALREADY_EXISTS and options.if_not_exists:
        return Outcome(row, f"{result.name} exists already")
    return Outcome(row, "", refusal(f"topic {result.name}", result.error_code, result.error_message))


async def _wait_for_leaders(cluster: ClusterClient, names: list[str], timeout_s: float) -> None:
    """Raises CommandError when a partition still has no leader after `timeout_s`."""
    if not names:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        response = await cluster.metadata(names)
        waiting = [
            topic.name
            for topic in response.topics
            if topic.error_code != ErrorCode.NONE or any(row.leader_id < 0 for row in topic.partitions)
        ]
        if not waiting:
            return
        if loop.time() >= deadline:
            raise CommandError(
                f"topic {waiting[0]} was created, but has no leaders after {timeout_s:g} s",
                f"see `logd topic describe {waiting[0]}`",
            )
        await asyncio.sleep(_POLL_S)

"""`logd topic alter`: more partitions.

JSON: an array of {topic, partitions, error}.
"""

from __future__ import annotations

import argparse

from logd.cli.connection import refusal, run_with_client
from logd.cli.outcomes import Outcome, print_outcomes
from logd.cli.topics import unknown_topic
from logd.clients.cluster_client import ClusterClient
from protocol.errors import ErrorCode
from protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsResponse

_Result = CreatePartitionsResponse.CreatePartitionsTopicResult


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        names = list(dict.fromkeys(options.topics))
        request = CreatePartitionsRequest(
            topics=[
                CreatePartitionsRequest.CreatePartitionsTopic(
                    name=name, count=options.partitions, assignments=None
                )
                for name in names
            ],
            timeout_ms=int(options.timeout * 1000),
            validate_only=options.dry_run,
        )
        response: CreatePartitionsResponse = await cluster.call(request)
        by_name = {row.name: row for row in response.results}
        return print_outcomes(
            options, [_outcome(options, by_name[name]) for name in names if name in by_name]
        )

    return run_with_client(options, work)


def _outcome(options: argparse.Namespace, result: _Result) -> Outcome:
    done = result.error_code == ErrorCode.NONE
    row = {"topic": result.name, "partitions": options.partitions if done else None}
    if result.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        return Outcome(row, "", unknown_topic(result.name))
    verb = "could have" if options.dry_run else "has"
    return Outcome(
        row,
        f"{result.name} {verb} {options.partitions} partitions",
        refusal(f"topic {result.name}", result.error_code, result.error_message),
    )

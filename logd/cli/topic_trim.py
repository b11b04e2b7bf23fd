"""`logd topic trim`: delete the records below an offset (DeleteRecords).

JSON: an array of {topic, partition, start_offset, error}; start_offset is the first offset that is left.
"""

from __future__ import annotations

import argparse
import asyncio

from logd.cli.confirm import confirm
from logd.cli.connection import refusal, run_with_client
from logd.cli.errors import UsageError
from logd.cli.outcomes import Outcome, print_outcomes
from logd.cli.patterns import is_pattern
from logd.cli.topics import partitions_of
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.delete_records import DeleteRecordsRequest, DeleteRecordsResponse
from protocol.types import Offset

_HIGH_WATERMARK = -1


def run(options: argparse.Namespace) -> int:
    if is_pattern(options.topic):
        raise UsageError(f"{options.topic} is a pattern, and trim takes one topic", "name it whole")

    async def work(cluster: ClusterClient) -> int:
        partitions = await partitions_of(cluster, options.topic, options.partitions)
        if options.before is not None and options.partitions is None and len(partitions) > 1:
            raise UsageError(
                f"topic {options.topic} has {len(partitions)} partitions, each with offsets of its own",
                "name one with -p, or several to trim them alike",
            )
        if not options.yes:
            await confirm(_question(options, partitions))
        outcomes = await asyncio.gather(*(_trim(options, cluster, each) for each in partitions))
        return print_outcomes(options, outcomes)

    return run_with_client(options, work)


async def _trim(options: argparse.Namespace, cluster: ClusterClient, partition: int) -> Outcome:
    subject = f"partition {partition} of {options.topic}"

    async def delete(leader: Client) -> Offset:
        request = DeleteRecordsRequest(
            topics=[
                DeleteRecordsRequest.DeleteRecordsTopic(
                    name=options.topic,
                    partitions=[
                        DeleteRecordsRequest.DeleteRecordsPartition(
                            partition_index=partition,
                            offset=_HIGH_WATERMARK if options.before is None else options.before,
                        )
                    ],
                )
            ],
            timeout_ms=int(options.timeout * 1000),
        )
        response: DeleteRecordsResponse = await cluster.call_on(leader, request)
        result = response.topics[0].partitions[0]
        error = refusal(subject, result.error_code, None)
        if error is not None:
            raise error
        return result.low_watermark

    row: dict[str, object] = {"topic": options.topic, "partition": partition}
    try:
        start = await cluster.on_leader(options.topic, partition, delete)
    except BrokerError as error:
        if error.code == ErrorCode.OFFSET_OUT_OF_RANGE:
            text = (
                f"{subject} does not reach offset {options.before}; see `logd topic describe {options.topic}`"
            )
            error = BrokerError(error.code, text)
        elif error.message is None:  # found out on the way to the leader
            error = refusal(subject, error.code, None) or error
        return Outcome(row | {"start_offset": None}, "", error)
    return Outcome(row | {"start_offset": start}, f"{subject} begins at offset {start}")


def _question(options: argparse.Namespace, partitions: list[int]) -> str:
    what = "all records" if options.before is None else f"all records below offset {options.before}"
    where = f"partition {', '.join(map(str, partitions))}" if len(partitions) < 10 else "every partition"
    return f"delete {what} in {where} of topic {options.topic}?"

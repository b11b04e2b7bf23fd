"""`logd topic compact`: have a topic's partitions compacted now, and wait until they are (CompactPartitions).

JSON: an array of {topic, partition, cleaned_to, bytes_before, bytes_after, error}; bytes are those of the segments that
were compacted.
"""

from __future__ import annotations

import argparse
import asyncio

from logd.cli import output
from logd.cli.compaction import Described, ask_for_compaction, describe_compaction, subject_of
from logd.cli.connection import run_with_client
from logd.cli.errors import CommandError, UsageError
from logd.cli.outcomes import Outcome, print_outcomes
from logd.cli.patterns import is_pattern
from logd.cli.topics import partitions_of
from logd.clients.cluster_client import ClusterClient, format_address
from protocol.compaction_state import CompactionState
from protocol.errors import BrokerError, ErrorCode
from protocol.types import TopicPartition

_LOOK_EVERY_S = (0.05, 1.0)
"""At first, and at last."""


def run(options: argparse.Namespace) -> int:
    if is_pattern(options.topic):
        raise UsageError(f"{options.topic} is a pattern, and compact takes one topic", "name it whole")

    async def work(cluster: ClusterClient) -> int:
        indexes = await partitions_of(cluster, options.topic, options.partitions)
        names = [TopicPartition(options.topic, index) for index in indexes]
        return print_outcomes(options, await _compact(cluster, names))

    return run_with_client(options, work)


async def _compact(cluster: ClusterClient, names: list[TopicPartition]) -> list[Outcome]:
    try:
        tickets = await ask_for_compaction(cluster, names)
    except BrokerError as error:
        if error.code != ErrorCode.UNSUPPORTED_VERSION:
            raise
        what = f"what answers at {format_address(cluster.address)} does not compact on request, as logd does"
        hint = "lower the topic's min.cleanable.dirty.ratio for a while"
        raise CommandError(what, hint) from None
    outcomes = {
        name: _refused(name, answer) for name, answer in tickets.items() if isinstance(answer, BrokerError)
    }
    waiting = {name: answer for name, answer in tickets.items() if isinstance(answer, int)}
    progress = output.Progress()
    pause_s, pause_s_max = _LOOK_EVERY_S
    while waiting:
        rows = await describe_compaction(cluster, waiting)
        for name, row in rows.items():
            if isinstance(row, BrokerError):
                outcomes[name] = _refused(name, row)
            elif row.ended_ticket >= waiting[name]:
                outcomes[name] = _ended(name, row)
            elif row.state == CompactionState.IDLE:
                outcomes[name] = _refused(name, _forgotten(name))
            else:
                continue
            del waiting[name]
        if waiting:
            if progress.is_due:
                progress.show(_progress(len(names), len(waiting), rows))
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, pause_s_max)
    progress.clear()
    return [outcomes[name] for name in names if name in outcomes]


def _forgotten(name: TopicPartition) -> BrokerError:
    text = (
        f"{subject_of(name)}: the broker no longer knows that it was asked for, as after a restart; ask again"
    )
    return BrokerError(ErrorCode.UNKNOWN_SERVER_ERROR, text)


def _refused(name: TopicPartition, error: BrokerError) -> Outcome:
    row = {"cleaned_to": None, "bytes_before": None, "bytes_after": None}
    return Outcome({"topic": name.topic, "partition": name.partition} | row, "", error)


def _ended(name: TopicPartition, row: Described) -> Outcome:
    if row.ended_error is not None:
        text = f"{subject_of(name)}: {row.ended_error}"
        return _refused(name, BrokerError(ErrorCode.UNKNOWN_SERVER_ERROR, text))
    fields: dict[str, object] = {
        "topic": name.topic,
        "partition": name.partition,
        "cleaned_to": row.cleaned_to,
        "bytes_before": row.bytes_before,
        "bytes_after": row.bytes_after,
    }
    before, after = output.format_size(row.bytes_before), output.format_size(row.bytes_after)
    return Outcome(
        fields, f"{subject_of(name)} is clean up to offset {row.cleaned_to}: {after}, before {before}"
    )


def _progress(asked: int, waiting: int, rows: dict[TopicPartition, Described | BrokerError]) -> str:
    found = [row for row in rows.values() if not isinstance(row, BrokerError)]
    done, total = sum(row.done_bytes for row in found), sum(row.total_bytes for row in found)
    share = f", {100 * done // total} % of {output.format_size(total)} read" if total else ""
    return f"compacting: {asked - waiting} of {asked} partitions done{share}"

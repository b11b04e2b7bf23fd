"""`logd group delete-offsets`: forget what a group has committed for topics that none of its members reads.

JSON: an array of {group, topic, partition, deleted, error}.
"""

from __future__ import annotations

import argparse

from logd.cli import output
from logd.cli.confirm import confirm
from logd.cli.connection import refusal, run_with_client
from logd.cli.group_offsets import committed_offsets, delete_offsets
from logd.cli.groups import unknown_group
from logd.cli.outcomes import Outcome, print_outcomes
from logd.clients.cluster_client import ClusterClient
from logd.clients.coordinators import Coordinators
from protocol.errors import BrokerError, ErrorCode
from protocol.types import TopicPartition


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        coordinators = Coordinators(cluster, options.timeout)
        committed = await committed_offsets(cluster, coordinators, options.group)
        # A topic need not be there any more: what was committed for it says which partitions it had.
        partitions = sorted(
            {
                each
                for each in committed
                if each.topic in {topic for topic, numbers in options.topics if not numbers}
            }
            | {TopicPartition(topic, number) for topic, numbers in options.topics for number in numbers}
        )
        if partitions and not options.yes:
            await confirm(
                f"forget where group {options.group} is in {output.format_count(len(partitions), 'partition')} "
                f"of {', '.join(sorted({each.topic for each in partitions}))}?"
            )
        try:
            answers = await delete_offsets(cluster, coordinators, options.group, partitions)
        except BrokerError as error:
            if error.code == ErrorCode.GROUP_ID_NOT_FOUND:
                raise unknown_group(options.group) from None
            raise
        return print_outcomes(options, [_outcome(options, *answer) for answer in answers.items()])

    return run_with_client(options, work)


def _outcome(options: argparse.Namespace, partition: TopicPartition, error: BrokerError | None) -> Outcome:
    name = f"{partition.topic} [{partition.partition}]"
    row = {
        "group": options.group,
        "topic": partition.topic,
        "partition": partition.partition,
        "deleted": error is None,
    }
    if error is not None and error.code == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC:
        text = f"{name}: members of group {options.group} read this topic; stop them first"
        return Outcome(row, "", BrokerError(error.code, text))
    return Outcome(
        row,
        f"deleted the offset of {name}",
        None if error is None else refusal(name, error.code, error.message),
    )

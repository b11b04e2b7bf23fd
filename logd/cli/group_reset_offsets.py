"""`logd group reset-offsets`: show, and with --execute set, where a group without members goes on.

JSON: an array of {group, topic, partition, from_offset, to_offset, end_offset, changed, error}; from_offset is null
where nothing was committed.
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

from logd.cli import output
from logd.cli.connection import explain, run_with_client
from logd.cli.errors import CommandError, UsageError
from logd.cli.group_details import Group, describe_group, live_group
from logd.cli.group_offsets import Committed, commit_offsets, committed_offsets
from logd.cli.group_partitions import check, chosen_partitions, partitions_by_topic, read_offsets
from logd.cli.offsets import END, START, list_offsets
from logd.cli.outcomes import error_row
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient
from logd.clients.coordinators import Coordinators
from logd.console import warn
from protocol.errors import BrokerError, ErrorCode
from protocol.types import Offset, TopicPartition

Goal = tuple[str, int]
"""earliest, latest, offset, time or shift, with the offset, the time in milliseconds, or by how much."""

_Answers = dict[TopicPartition, Offset | BrokerError]


class _Move(NamedTuple):
    """Where one partition is to go on."""

    partition: TopicPartition
    before: Offset | None
    after: Offset
    end: Offset
    is_bounded: bool
    """Whether what was asked for lies outside of the records, and `after` is their nearer end."""


def run(options: argparse.Namespace) -> int:
    _check(options)
    wanted = read_offsets(options.from_file) if options.from_file is not None else None

    async def work(cluster: ClusterClient) -> int:
        coordinators = Coordinators(cluster, options.timeout)
        await _refuse_live_group(cluster, coordinators, options.group)
        committed = await committed_offsets(cluster, coordinators, options.group)
        before = {key: each.offset for key, each in committed.items() if isinstance(each, Committed)}
        partitions = await _partitions(options, cluster, before, wanted)
        moves = await _plan(options, cluster, partitions, before, wanted)
        outcome: dict[TopicPartition, BrokerError | None] = {}
        if options.execute:
            outcome = await _commit(cluster, coordinators, options.group, moves)
        return _print(options, moves, outcome)

    return run_with_client(options, work)


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError where it is not clear which offsets of which partitions are meant."""
    goals = [options.to, options.shift_by, options.by_duration, options.from_file]
    if sum(goal is not None for goal in goals) != 1:
        raise UsageError("it takes one of --to, --shift-by, --by-duration, --from-file")
    if options.from_file is not None and (options.topics or options.all_topics):
        raise UsageError("--from-file names the topics by itself", "leave out --topic and --all-topics")
    if options.from_file is None and bool(options.topics) == options.all_topics:
        raise UsageError("it takes --topic, once or several times, or --all-topics")


async def _refuse_live_group(cluster: ClusterClient, coordinators: Coordinators, group_id: str) -> None:
    """Raises BrokerError for a group with members. One that is not there is made by its first offsets."""

    async def ask(coordinator: Client) -> Group:
        return await describe_group(cluster, coordinator, group_id)

    try:
        group = await coordinators.run(group_id, ask)
    except BrokerError as error:
        if error.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
    else:
        if group.is_live:
            raise live_group(group)


async def _partitions(
    options: argparse.Namespace,
    cluster: ClusterClient,
    before: dict[TopicPartition, Offset],
    wanted: dict[TopicPartition, Offset] | None,
) -> list[TopicPartition]:
    """Those that are to move. Raises: BrokerError, CommandError for what is not there."""
    if wanted is not None:
        existing = await partitions_by_topic(cluster, (each.topic for each in wanted))
        for topic, number in wanted:
            check(topic, [number], existing[topic])
        return sorted(wanted)
    if options.topics:
        return await chosen_partitions(cluster, options.topics)
    if not before:
        text = f"group {options.group} has committed no offsets"
        raise CommandError(text, "name topics with --topic")
    existing = await partitions_by_topic(cluster, (each.topic for each in before))
    return sorted(TopicPartition(topic, number) for topic, numbers in existing.items() for number in numbers)


async def _plan(
    options: argparse.Namespace,
    cluster: ClusterClient,
    partitions: list[TopicPartition],
    before: dict[TopicPartition, Offset],
    wanted: dict[TopicPartition, Offset] | None,
) -> list[_Move]:
    """Where each partition goes. Raises BrokerError where one cannot be found out; CommandError: nothing to shift."""
    starts = await list_offsets(cluster, partitions, START)
    ends = await list_offsets(cluster, partitions, END)
    goal = _goal(options)
    by_time = await list_offsets(cluster, partitions, goal[1]) if goal[0] == "time" else {}
    moves = []
    for each in partitions:
        start, end = _known(each, starts), _known(each, ends)
        match goal:
            case ("earliest", _):
                target = start
            case ("latest", _):
                target = end
            case ("offset", offset):
                target = offset
            case ("time", _):
                found = _known(each, by_time)
                target = found if found >= 0 else end  # no record is that late
            case ("shift", by):
                if each not in before:
                    if options.all_topics:
                        continue
                    text = f"{each.topic} [{each.partition}] has no committed offset that could be shifted"
                    raise CommandError(text, "set one with --to")
                target = before[each] + by
            case _:
                assert wanted is not None
                target = wanted[each]
        after = min(max(target, start), end)
        moves.append(_Move(each, before.get(each), after, end, after != target))
    return moves


def _goal(options: argparse.Namespace) -> Goal:
    if options.shift_by is not None:
        return "shift", options.shift_by
    if options.by_duration is not None:
        return "time", max(0, time.time_ns() // 1_000_000 - options.by_duration)
    return options.to or ("file", 0)


def _known(partition: TopicPartition, answers: _Answers) -> Offset:
    answer = answers[partition]
    if isinstance(answer, BrokerError):
        name = f"{partition.topic} [{partition.partition}]"
        raise BrokerError(answer.code, f"{name}: {answer.message or answer.code.text}; nothing was changed")
    return answer


async def _commit(
    cluster: ClusterClient, coordinators: Coordinators, group_id: str, moves: list[_Move]
) -> dict[TopicPartition, BrokerError | None]:
    offsets = {each.partition: each.after for each in moves}
    outcome = await commit_offsets(cluster, coordinators, group_id, offsets)
    for partition, error in outcome.items():
        if error is not None and error.code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION):
            text = f"group {group_id} has got members meanwhile; stop them first"
            outcome[partition] = BrokerError(error.code, text)
    return outcome


def _print(
    options: argparse.Namespace, moves: list[_Move], outcome: dict[TopicPartition, BrokerError | None]
) -> int:
    if options.json:
        output.print_json([_row(options, each, outcome) for each in moves])
    else:
        output.print_table(
            ("TOPIC", "PARTITION", "FROM", "TO", "END", "LAG"),
            [
                [*each.partition, each.before, each.after, each.end, each.end - each.after]
                for each in moves
                if outcome.get(each.partition) is None
            ],
        )
    output.flush()
    bounded = sum(each.is_bounded for each in moves)
    if bounded:
        which = "1 partition does" if bounded == 1 else f"{bounded} partitions do"
        warn(f"{which} not reach so far; the nearer end of the records is taken")
    if not options.execute:
        if not options.json:
            warn("nothing was changed; --execute sets these offsets")
        return 0
    failures = {explain(error) for error in outcome.values() if error is not None}
    for text in sorted(failures):
        warn(text)
    return 1 if failures else 0


def _row(
    options: argparse.Namespace, move: _Move, outcome: dict[TopicPartition, BrokerError | None]
) -> dict[str, object]:
    error = outcome.get(move.partition)
    return {
        "group": options.group,
        "topic": move.partition.topic,
        "partition": move.partition.partition,
        "from_offset": move.before,
        "to_offset": move.after,
        "end_offset": move.end,
        "changed": move.partition in outcome and error is None,
        "error": error_row(error),
    }

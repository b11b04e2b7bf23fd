"""`logd group describe`.

JSON: an array of {group, type, state, protocol_type, assignor, epoch, coordinator, lag, members, offsets}; coordinator
is {node, host, port}, lag the sum over all partitions where it is known. Of `members` each is {member, instance,
client, host, epoch, assignment, target_assignment}, assignments being arrays of {topic, partitions}; of `offsets`,
which are the committed and the assigned partitions, {topic, partition, committed, leader_epoch, metadata, end_offset,
lag, member, error}. What is not known, or not there, is null.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.group_details import Assignment, Group, Member, describe_group
from logd.cli.group_offsets import Committed, committed_offsets
from logd.cli.groups import select_groups
from logd.cli.offsets import END, list_offsets
from logd.cli.outcomes import error_row, gather_answers, tell_failures
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient, format_address
from logd.clients.coordinators import Coordinator, Coordinators
from protocol.errors import BrokerError
from protocol.types import Offset, TopicPartition


class _Position(NamedTuple):
    """Where a group is in a partition."""

    partition: TopicPartition
    committed: Committed | BrokerError | None
    end: Offset | BrokerError | None
    owner: Member | None

    @property
    def offset(self) -> Offset | None:
        return self.committed.offset if isinstance(self.committed, Committed) else None

    @property
    def end_offset(self) -> Offset | None:
        return self.end if isinstance(self.end, int) else None

    @property
    def lag(self) -> int | None:
        """Records between the committed offset and the end. What was trimmed below both counts for none."""
        if self.offset is None or self.end_offset is None:
            return None
        return max(0, self.end_offset - self.offset)

    @property
    def error(self) -> BrokerError | None:
        return next((each for each in (self.committed, self.end) if isinstance(each, BrokerError)), None)


class _Described(NamedTuple):
    group: Group
    coordinator: Coordinator
    positions: list[_Position]

    @property
    def lag(self) -> int:
        return sum(each.lag or 0 for each in self.positions)


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        group_ids, failures = await select_groups(cluster, options.groups, timeout_s=options.timeout)
        coordinators = Coordinators(cluster, options.timeout)
        found, refused = await gather_answers(_describe(cluster, coordinators, each) for each in group_ids)
        _print(options, found)
        return tell_failures([*failures.values(), *refused])

    return run_with_client(options, work)


async def _describe(cluster: ClusterClient, coordinators: Coordinators, group_id: str) -> _Described:
    async def ask(coordinator: Client) -> Group:
        return await describe_group(cluster, coordinator, group_id)

    group = await coordinators.run(group_id, ask)
    committed = await committed_offsets(cluster, coordinators, group_id)
    owners = {
        TopicPartition(topic, partition): member
        for member in group.members
        for topic, partitions in (member.assignment or {}).items()
        for partition in partitions
    }
    partitions = sorted({*committed, *owners})
    if partitions:
        await cluster.metadata(sorted({each.topic for each in partitions}))
    ends = await list_offsets(cluster, partitions, END)
    positions = [
        _Position(each, committed.get(each), ends.get(each), owners.get(each)) for each in partitions
    ]
    return _Described(group, await coordinators.find(group_id), positions)


def _print(options: argparse.Namespace, found: list[_Described]) -> None:
    if options.json:
        output.print_json([_row(each) for each in found])
    else:
        output.print_each(found, _print_group)
    output.flush()


def _print_group(described: _Described) -> None:
    group, coordinator, positions = described
    head = [
        f"type={group.type}",
        f"state={group.state}",
        *([f"assignor={group.assignor}"] if group.assignor else []),
        *([f"epoch={group.epoch}"] if group.epoch is not None else []),
        f"coordinator={coordinator.node_id} ({format_address((coordinator.host, coordinator.port))})",
        f"members={len(group.members)}",
        f"lag={described.lag}",
    ]
    output.print_line(f"{group.group_id}  {'  '.join(head)}")
    if positions:
        output.print_table(
            ("TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"),
            [
                [
                    each.partition.topic,
                    each.partition.partition,
                    each.offset,
                    each.end_offset,
                    each.lag,
                    each.owner.member_id if each.owner is not None else None,
                ]
                for each in positions
            ],
            indent="  ",
        )
    if group.members:
        output.print_table(
            ("MEMBER", "INSTANCE", "CLIENT", "HOST", "ASSIGNED"),
            [
                [each.member_id, each.instance_id, each.client_id, each.host, _assigned(each.assignment)]
                for each in group.members
            ],
            indent="  ",
        )


def _assigned(assignment: Assignment | None) -> str | None:
    """Such as `orders:0-3,7`."""
    if not assignment:
        return None
    return " ".join(f"{topic}:{_ranges(partitions)}" for topic, partitions in assignment.items())


def _ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _row(described: _Described) -> dict[str, object]:
    group, coordinator, positions = described
    return {
        "group": group.group_id,
        "type": group.type,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "assignor": group.assignor or None,
        "epoch": group.epoch,
        "coordinator": {"node": coordinator.node_id, "host": coordinator.host, "port": coordinator.port},
        "lag": described.lag,
        "members": [
            {
                "member": each.member_id,
                "instance": each.instance_id,
                "client": each.client_id,
                "host": each.host,
                "epoch": each.epoch,
                "assignment": _topics(each.assignment),
                "target_assignment": _topics(each.target),
            }
            for each in group.members
        ],
        "offsets": [_position_row(each) for each in positions],
    }


def _topics(assignment: Assignment | None) -> list[dict[str, object]] | None:
    if assignment is None:
        return None
    return [{"topic": topic, "partitions": partitions} for topic, partitions in assignment.items()]


def _position_row(position: _Position) -> dict[str, object]:
    committed = position.committed if isinstance(position.committed, Committed) else None
    return {
        "topic": position.partition.topic,
        "partition": position.partition.partition,
        "committed": position.offset,
        "leader_epoch": committed.leader_epoch
        if committed is not None and committed.leader_epoch >= 0
        else None,
        "metadata": committed.metadata if committed is not None else None,
        "end_offset": position.end_offset,
        "lag": position.lag,
        "member": position.owner.member_id if position.owner is not None else None,
        "error": error_row(position.error),
    }

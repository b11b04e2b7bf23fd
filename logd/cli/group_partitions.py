"""Which partitions are meant by the --topic options of `logd group` and `logd txn`, and by a file of offsets."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from typing import IO

from logd.cli.errors import CommandError
from logd.cli.topics import unknown_topic
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.errors import ErrorCode
from protocol.types import Offset, TopicPartition

_OFFSET_MAX = (1 << 63) - 1


async def partitions_by_topic(cluster: ClusterClient, topics: Iterable[str]) -> dict[str, list[int]]:
    """All partitions of topics. Raises BrokerError for a topic that is not there."""
    names = sorted(set(topics))
    if not names:
        return {}
    found: dict[str, list[int]] = {}
    for row in (await cluster.metadata(names)).topics:
        name = row.name or ""
        if row.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
            raise unknown_topic(name)
        if row.error_code != ErrorCode.NONE and not row.partitions:
            raise broker_error(row.error_code, None)
        found[name] = sorted(each.partition_index for each in row.partitions)
    return found


async def chosen_partitions(
    cluster: ClusterClient, chosen: Sequence[tuple[str, list[int]]]
) -> list[TopicPartition]:
    """The partitions that --topic options stand for. Raises: BrokerError, CommandError for what is not there."""
    existing = await partitions_by_topic(cluster, (topic for topic, _ in chosen))
    found: set[TopicPartition] = set()
    for topic, numbers in chosen:
        check(topic, numbers, existing[topic])
        found.update(TopicPartition(topic, number) for number in numbers or existing[topic])
    return sorted(found)


def check(topic: str, numbers: Iterable[int], existing: list[int]) -> None:
    """Raises CommandError for a partition that is not there."""
    for number in numbers:
        if number not in existing:
            raise CommandError(f"topic {topic} has no partition {number}", f"it has {len(existing)}")


def read_offsets(path: str) -> dict[TopicPartition, Offset]:
    """Offsets by partition from a file of lines TOPIC,PARTITION,OFFSET; `-` is standard input.

    Raises: CommandError that names the line which cannot be used.
    """
    try:
        if path == "-":
            return _parse(sys.stdin, "standard input")
        with open(path, encoding="utf-8", newline="") as file:
            return _parse(file, path)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"cannot read {path}: {error}") from None


def _parse(file: IO[str], name: str) -> dict[TopicPartition, Offset]:
    found: dict[TopicPartition, Offset] = {}
    rows = csv.reader(file)
    for row in rows:
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if (
            len(cells) != 3
            or not cells[0]
            or not all(cell.isascii() and cell.isdigit() for cell in cells[1:])
        ):
            raise CommandError(f"{name}, line {rows.line_num}: not TOPIC,PARTITION,OFFSET")
        partition, offset = TopicPartition(cells[0], int(cells[1])), int(cells[2])
        if offset > _OFFSET_MAX:
            raise CommandError(f"{name}, line {rows.line_num}: {offset} is larger than any offset")
        if partition in found:
            raise CommandError(
                f"{name}, line {rows.line_num}: {partition.topic} [{partition.partition}] has an offset already"
            )
        found[partition] = offset
    if not found:
        raise CommandError(f"{name} has no offsets", "write lines of TOPIC,PARTITION,OFFSET")
    return found

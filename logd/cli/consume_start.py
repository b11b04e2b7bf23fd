"""Where `logd consume` starts and stops reading: the values of -o, and the offsets that they come to."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from logd.clients.cluster_client import ClusterClient
    from protocol.types import Offset, TimestampMs, TopicPartition

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class Start(NamedTuple):
    """One value of -o."""

    kind: str
    """beginning, end, offset, tail, from_time or until_time."""
    number: int = 0
    """The offset, how many before the end, or the time in milliseconds."""


BEGINNING = Start("beginning")


def parse_start(text: str) -> Start:
    """For argparse: beginning, end, OFFSET, -COUNT, s@MILLISECONDS, e@MILLISECONDS."""
    if text in ("beginning", "end"):
        return Start(text)
    kind, at, number = text.rpartition("@")
    if not _NUMBER.fullmatch(number) or (at and (kind not in ("s", "e") or number.startswith("-"))):
        wanted = "beginning, end, an offset, -COUNT, s@TIME, e@TIME with milliseconds since 1970"
        raise argparse.ArgumentTypeError(f"{text!r} is none of {wanted}")
    if at:
        return Start("from_time" if kind == "s" else "until_time", int(number))
    return Start("tail", -int(number)) if number.startswith("-") else Start("offset", int(number))


class Bounds(NamedTuple):
    """What the options say of all partitions."""

    start: Start
    until_ms: TimestampMs | None
    stop_at_end: bool
    read_committed: bool


class Stretch(NamedTuple):
    """What is to be read of a partition."""

    start: Offset
    end: Offset | None
    """Exclusive; None: without end."""


async def find_stretches(
    cluster: ClusterClient, partitions: Sequence[TopicPartition], bounds: Bounds, now_ms: TimestampMs
) -> dict[TopicPartition, Stretch]:
    """Ask the leaders. A start outside of a partition is moved to its nearer end.

    A time to stop at that is over also stops at the present end, since nothing earlier is to come.
    Raises: BrokerError when a leader refuses; OSError.
    """
    from logd.cli.offsets import END, START  # noqa: PLC0415 - parsing options needs none of it

    async def ask(timestamp: TimestampMs) -> dict[TopicPartition, Offset]:
        return await _ask(cluster, partitions, timestamp, bounds.read_committed)

    first, last = await ask(START), await ask(END)
    kind, number = bounds.start
    starts = first
    if kind == "end":
        starts = last
    elif kind == "offset":
        starts = dict.fromkeys(partitions, number)
    elif kind == "tail":
        starts = {each: last[each] - number for each in partitions}
    elif kind == "from_time":
        found = await ask(number)
        starts = {each: last[each] if found[each] < 0 else found[each] for each in partitions}
    later: dict[TopicPartition, Offset] = {} if bounds.until_ms is None else await ask(bounds.until_ms)
    is_over = bounds.until_ms is not None and bounds.until_ms <= now_ms
    stretches = {}
    for each in partitions:
        ends = [last[each]] if bounds.stop_at_end or is_over else []
        if later.get(each, -1) >= 0:
            ends.append(later[each])
        start = min(max(starts[each], first[each]), last[each])
        stretches[each] = Stretch(start, min(ends, default=None))
    return stretches


async def _ask(
    cluster: ClusterClient,
    partitions: Sequence[TopicPartition],
    timestamp: TimestampMs,
    read_committed: bool,
) -> dict[TopicPartition, Offset]:
    from logd.cli.connection import about  # noqa: PLC0415 - as in find_stretches
    from logd.cli.offsets import list_offsets  # noqa: PLC0415
    from logd.cli.topic_layout import partition_text  # noqa: PLC0415
    from protocol.errors import BrokerError  # noqa: PLC0415

    answers = await list_offsets(cluster, partitions, timestamp, read_committed=read_committed)
    offsets = {}
    for each, answer in answers.items():
        if isinstance(answer, BrokerError):
            raise about(partition_text(each), answer)
        offsets[each] = answer
    return offsets

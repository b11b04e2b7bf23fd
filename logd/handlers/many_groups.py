"""Requests about many groups: each group is asked about where it is coordinated.

The groups of one partition go together, in portions, so that a request that names very many of them costs little per
group and leaves others their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message


class Portion(NamedTuple):
    """Groups that were asked about together."""

    group_ids: Sequence[str]
    outcome: Message | ErrorCode
    """The answer, or why there is none."""


async def ask_in_portions(
    broker: Broker,
    group_ids: Iterable[str],
    context: RequestContext,
    size: int,
    request_for: Callable[[list[str]], Message],
) -> AsyncIterator[Portion]:
    """Ask about groups that are named once each, at most `size` at a time."""
    by_partition: dict[int | None, list[str]] = {}
    for group_id in group_ids:
        by_partition.setdefault(broker.groups.partition_of(group_id), []).append(group_id)
    for members in by_partition.values():
        for first in range(0, len(members), size):
            portion = members[first : first + size]
            try:
                answer = await broker.groups.ask(portion[0], request_for(portion), context)
            except BrokerError as refusal:
                yield Portion(portion, refusal.code)
            else:
                yield Portion(portion, answer)
            await asyncio.sleep(0)

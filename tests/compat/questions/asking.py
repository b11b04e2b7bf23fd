"""What questions to a broker are made of, and the list of them all.

A question prepares what it needs under a topic name of its own, asks, and returns what of the answer clients depend on:
codes and places, not texts. So the same list can be put to logd and to Kafka. The modules beside this one fill it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, NamedTuple

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.record_builder import build_batch
from protocol.records import Record

Ask = Callable[[Client, str], Awaitable[Any]]


class Question(NamedTuple):
    """What is asked, and what comes back."""

    ask: Ask
    answer: Any


QUESTIONS: dict[str, Question] = {}
"""By name."""


def questions_of(*modules: ModuleType) -> dict[str, Question]:
    """Return the questions that are asked in some modules."""
    names = {module.__name__ for module in modules}
    return {name: question for name, question in QUESTIONS.items() if question.ask.__module__ in names}


def answered(answer: Any) -> Callable[[Ask], Ask]:
    """Put the decorated question into `QUESTIONS`."""

    def take(ask: Ask) -> Ask:
        QUESTIONS[ask.__name__] = Question(ask, answer)
        return ask

    return take


async def create(client: Client, topic: str, partitions: int = 1, **configs: str) -> None:
    """Create a topic and wait until all of it can be used."""
    await client.create_topic(
        topic, partitions=partitions, configs={key.replace("_", "."): value for key, value in configs.items()}
    )
    await settled(client, topic, partitions)


async def settled(client: Client, topic: str, partitions: int) -> None:
    for _ in range(1200):
        (row,) = (await client.metadata([topic])).topics
        if row.error_code == 0 and len(row.partitions) == partitions:
            try:
                for index in range(partitions):
                    await client.list_offset(topic, index)
            except BrokerError:
                pass
            else:
                return
        await asyncio.sleep(0.05)
    raise TimeoutError(topic)


async def produce(client: Client, topic: str, count: int, index: int = 0, **fields: Any) -> None:
    now_ms = int(time.time() * 1000)
    batch = build_batch([Record(i, now_ms, b"k", b"v") for i in range(count)], **fields)
    await client.produce(topic, index, batch)


def codes(rows: Any, key: str = "partition_index") -> list[tuple[Any, ErrorCode]]:
    """(what `key` says, code) of each row, sorted: Kafka's order is that of a hash table."""
    return sorted((getattr(row, key), ErrorCode(row.error_code)) for row in rows)


def renamed(value: Any, old: str, new: str) -> Any:
    """`value` with a prefix of texts in it replaced."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, (list, tuple)):
        return type(value)(renamed(item, old, new) for item in value)
    return value

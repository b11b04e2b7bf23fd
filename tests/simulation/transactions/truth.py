"""What clients did and were told, transaction by transaction: what everything else is measured by."""

from __future__ import annotations

from collections import Counter

from protocol.types import Offset, TopicPartition
from tests.simulation.transactions.records import Written


class Transaction:
    """One transaction of one producer's process; of a plain producer, its whole life."""

    def __init__(self, number: int, producer: str, transactional_id: str | None) -> None:
        self.number = number
        self.producer = producer
        self.transactional_id = transactional_id
        self.put = 0
        """How many records were put into it."""
        self.records: dict[TopicPartition, list[Written]] = {}
        """By partition, in the order in which they were put."""
        self.known: set[Written] = set()
        """Those that were acknowledged."""
        self.offsets: dict[TopicPartition, Offset] = {}
        """Of the group, to be committed with it."""
        self.rewritten: Counter[Written] = Counter()
        """How often each was sent again under another sequence or epoch: only so often may it be in the log again."""
        self.failed = False
        """A batch of it was not written, as far as its producer knows."""
        self.asked_commit = False
        """Its producer sent an EndTxn that commits it."""
        self.told: bool | None = None
        """Whether it was committed, as its producer was told, or knows without asking: it never began."""
        self.is_answered = False
        """Its producer was told by the coordinator."""
        self.decided: bool | None = None
        """Whether it was committed, as the coordinator wrote."""
        self.superseded = False
        """Its producer has begun another one."""

    def __repr__(self) -> str:
        return f"transaction {self.number} of {self.producer}"

    def next_value(self, source: Offset = -1) -> Written:
        value = Written(self.number, self.put, source)
        self.put += 1
        return value

    def sent(self, partition: TopicPartition, values: list[Written]) -> None:
        self.records.setdefault(partition, []).extend(values)

    def acknowledged(self, partition: TopicPartition, values: list[Written]) -> None:
        self.known.update(values)

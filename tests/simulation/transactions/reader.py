"""Consumers of every partition, at both isolation levels, as clients filter what they fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.fetched import readable_batches
from protocol.types import Offset, TopicPartition
from replication.partition import READ_COMMITTED
from tests.simulation.transactions.records import Written, read_values

if TYPE_CHECKING:
    from tests.simulation.transactions.replica import Replica
    from tests.simulation.transactions.simulation import Simulation
    from tests.simulation.transactions.truth import Transaction


class Reader:
    """Reads on from where it was; what it has seen stays true."""

    def __init__(self, sim: Simulation, partition: TopicPartition, isolation: int) -> None:
        self.sim = sim
        self.partition = partition
        self.isolation = isolation
        self.seen: list[tuple[Offset, Written]] = []
        self._position: Offset = 0
        self._last: dict[str, tuple[int, int]] = {}
        """By producer: transaction and place of its last record."""

    def __repr__(self) -> str:
        level = "read_committed" if self.isolation == READ_COMMITTED else "read_uncommitted"
        return f"{self.partition} at {level}"

    def poll(self) -> None:
        replica = self.sim.data[self.partition].replica
        if not replica.leads:
            return
        while self._poll_once(replica):
            pass

    def _poll_once(self, replica: Replica) -> bool:
        """Read some more; whether there was anything."""
        data, aborted = replica.fetch(self._position, self.isolation)
        fetched = readable_batches(data, self._position, aborted)
        for each in fetched.batches:
            for offset, value in read_values(each.batch):
                if offset >= self._position:
                    self._take(offset, value)
        was, self._position = self._position, fetched.next_offset
        return self._position > was

    def _take(self, offset: Offset, value: Written) -> None:
        transaction = self.sim.all_transactions[value.transaction]
        place = (value.transaction, value.place)
        last = self._last.get(transaction.producer, (-1, -1))
        assert place > last or (value in transaction.rewritten and not self._must_be_once(transaction)), (
            f"{self}: {place} of {transaction.producer} comes after {last}, at offset {offset}"
        )
        self._last[transaction.producer] = max(place, last)
        if self.isolation == READ_COMMITTED:
            self.sim.checker.read_committed(self.partition, offset, transaction)
        self.seen.append((offset, value))

    def _must_be_once(self, transaction: Transaction) -> bool:
        """Whether nothing excuses a record that is seen twice.

        Java's producer gives up a batch that is not answered in time, and has those behind it, which may be written
        already, follow without it: in a transaction under sequences that the partition has yet to see, and the
        transaction is aborted then; without one, in a new epoch. Kafka's documentation says to close such a producer.
        """
        return transaction.transactional_id is not None and self.isolation == READ_COMMITTED

    def check_against_the_log(self) -> None:
        """Who begins to read now sees the same."""
        fresh = Reader(self.sim, self.partition, self.isolation)
        fresh.poll()
        assert fresh.seen == self.seen, (
            f"{self}: was {_first_difference(self.seen, fresh.seen)} when it was read first"
        )


def _first_difference(before: list[tuple[Offset, Written]], now: list[tuple[Offset, Written]]) -> str:
    for one, other in zip(before, now, strict=False):
        if one != other:
            return f"{one}, is {other}: not what it"
    return f"{before[len(now) : len(now) + 1]}, is {now[len(before) : len(before) + 1]}: not what it"

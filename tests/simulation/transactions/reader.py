"""Consumers of every partition, at both isolation levels, as clients filter what they fetch."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from protocol.fetched import readable_batches
from protocol.records import read_header
from protocol.types import Offset, TopicPartition
from replication.partition import READ_COMMITTED
from tests.simulation.transactions.records import Written, read_values

if TYPE_CHECKING:
    from tests.simulation.transactions.replica import Replica
    from tests.simulation.transactions.simulation import Simulation
    from tests.simulation.transactions.truth import Transaction


class _Place(NamedTuple):
    """Of a record among those of its producer."""

    transaction: int
    place: int
    epoch: int


class Reader:
    """Reads on from where it was; what it has seen stays true."""

    def __init__(self, sim: Simulation, partition: TopicPartition, isolation: int) -> None:
        self.sim = sim
        self.partition = partition
        self.isolation = isolation
        self.seen: list[tuple[Offset, Written]] = []
        self._position: Offset = 0
        self._last: dict[str, _Place] = {}
        """By producer: where its last record belongs."""
        self._times: Counter[Written] = Counter()

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
            epoch = read_header(each.batch).producer_epoch
            for offset, value in read_values(each.batch):
                if offset >= self._position:
                    self._take(offset, value, epoch)
        was, self._position = self._position, fetched.next_offset
        return self._position > was

    def _take(self, offset: Offset, value: Written, epoch: int) -> None:
        transaction = self.sim.all_transactions[value.transaction]
        place = _Place(value.transaction, value.place, epoch)
        last = self._last.get(transaction.producer, _Place(-1, -1, -1))
        where = f"{self}: {place} of {transaction.producer} comes after {last}, at offset {offset}"
        again = 0 if self._must_be_once(transaction) else transaction.rewritten[value]
        if place[:2] <= last[:2]:
            assert again and (epoch > last.epoch or transaction.transactional_id is not None), where
            self.sim.checker.count("written a second time by its producer")
        self._times[value] += 1
        assert self._times[value] <= 1 + again, f"{where}, once more"
        self._last[transaction.producer] = place
        if self.isolation == READ_COMMITTED:
            self.sim.checker.read_committed(self.partition, offset, transaction)
        self.seen.append((offset, value))

    def _must_be_once(self, transaction: Transaction) -> bool:
        """Whether nothing excuses a record that is seen twice.

        Java's producer gives up a batch that is not answered in time, and has those behind it, which may be written
        already, follow without it: in a transaction under sequences that the partition has yet to see, and the
        transaction is aborted then; without one, in a new epoch. Kafka's documentation says to close such a producer.
        One without transactions does so, too, when it is told that a batch is missing.
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

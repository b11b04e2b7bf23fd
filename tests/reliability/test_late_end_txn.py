"""Goal: an EndTxn that arrives late, in the middle of the next transaction, does nothing to that one (KIP-890).

Method: many producers at once, each one transaction after the other, over a way on which EndTxn is held back. They give
up, ask again over a new connection, and go on, so old requests arrive at every moment of later transactions. Half of
the transactions are aborted, so that one that is committed by a stray request shows. In the end the log is compared
with what the producers know: all or nothing of each transaction, at most one end in each partition, and that the right
one. A newer producer (transaction version 2) asks again as the same; an older one cannot know which transaction a stray
request would end, and does what its client would: it asks for a new epoch, and does not know how it ended.

Times are those of the goal (1 to 60 s) scaled down. Markers do not leave the node here; that they come late, twice or
in another order is what the simulation of transactions does.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.records import iter_batches, iter_records, read_header
from tests.reliability.late_requests import LateRequests
from tests.reliability.seeds import seed_of_run
from tests.support.broker import LogdBroker
from tests.support.patience import until_settled
from tests.support.transaction_talk import Producer, committed, topic_made

TOPIC = "t"
PARTITIONS = 6
HELD_S = (0.03, 2.0)
PATIENCE_S = 0.25
"""After which a producer gives up on an EndTxn."""
PAUSE_S = 0.2
"""At most so long between two batches: most of what is late arrives in the next transaction."""
BATCHES = 4


class Size(NamedTuple):
    producers: int
    each: int


EVERYDAY = Size(20, 3)
FULL = Size(100, 10)


@dataclass(slots=True)
class Transaction:
    """What one was to be, and what its producer was told. `committed` is None while that is not known."""

    name: str
    committed: bool | None = None
    records: list[tuple[int, bytes]] = field(default_factory=list)
    """Partition and value, in order."""


class Application:
    """One transactional id that goes from transaction to transaction."""

    def __init__(self, name: str, way: LateRequests, version: int, source: random.Random) -> None:
        self._name = name
        self._way = way
        self._v2 = version == 2
        self._random = source
        self.transactions: list[Transaction] = []
        self.gave_up = 0

    async def run(self, count: int) -> None:
        self._producer = Producer(await self._connect(), self._name)
        await self._producer.begin()
        for number in range(count):
            transaction = Transaction(f"{self._name}/{number}")
            self.transactions.append(transaction)
            partitions = self._random.sample(range(PARTITIONS), 2)
            for at in range(BATCHES):
                await self._send(transaction, partitions[at % 2], at)
                await asyncio.sleep(self._random.uniform(0, PAUSE_S))
            await self._end(transaction, commit=self._random.random() < 0.5)
        await self._producer.client.close()

    async def _send(self, transaction: Transaction, partition: int, at: int) -> None:
        value = f"{transaction.name}/{at}".encode()
        transaction.records.append((partition, value))
        producer = self._producer
        if not self._v2 and at < 2:
            added = await until_settled(lambda: producer.add_one(TOPIC, partition), lambda code: code)
            assert added is ErrorCode.NONE, added
        version = 12 if self._v2 else 11
        code = await until_settled(
            lambda: producer.produce(TOPIC, value, index=partition, version=version), lambda code: code
        )
        assert code is ErrorCode.NONE, (value, code)

    async def _end(self, transaction: Transaction, *, commit: bool) -> None:
        producer = self._producer
        version = 5 if self._v2 else 4
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    told = await until_settled(
                        lambda: producer.end(commit=commit, version=version), lambda told: told.code
                    )
            except TimeoutError:
                self.gave_up += 1
                gone, producer.client = producer.client, await self._connect()
                await gone.close()
                if not self._v2:
                    await self._begin_anew()
                    return
            else:
                assert told.code is ErrorCode.NONE, (transaction.name, told)
                transaction.committed = commit
                return

    async def _begin_anew(self) -> None:
        """Get another epoch: what is still on the way can end nothing any more."""
        producer = self._producer
        current = producer.identity
        told = await until_settled(lambda: producer.init(4, current=current), lambda told: told.code)
        assert told.code is ErrorCode.NONE, told

    async def _connect(self) -> Client:
        return await Client.connect("127.0.0.1", self._way.port, timeout_s=60)


@pytest.mark.parametrize("version", [1, 2], ids=["TV1", "TV2"])
@pytest.mark.parametrize("size", [EVERYDAY, pytest.param(FULL, marks=pytest.mark.full)], ids=["", "full"])
@pytest.mark.timeout(400)
def test_late_ends_end_nothing_else(tmp_path: Path, written: list[Path], version: int, size: Size) -> None:
    with LogdBroker(tmp_path) as broker:
        asyncio.run(hold_back(broker, version, size, random.Random(seed_of_run())))
    written.append(broker.data_dir)


async def hold_back(broker: LogdBroker, version: int, size: Size, source: random.Random) -> None:
    def hold() -> float:
        low, high = HELD_S
        return low * (high / low) ** source.random() if source.random() < 0.7 else 0.0

    address = ("127.0.0.1", broker.port)
    async with await Client.connect(*address) as client:
        await topic_made(client, TOPIC, PARTITIONS)
        began = time.monotonic()
        async with LateRequests(address, hold, source) as way:
            applications = [
                Application(f"app-{number}", way, version, random.Random(source.random()))
                for number in range(size.producers)
            ]
            async with asyncio.TaskGroup() as group:
                for application in applications:
                    group.create_task(application.run(size.each))
            await way.settle()
        transactions = [each for application in applications for each in application.transactions]
        counts = Counter(each.committed for each in transactions)
        late = {code.name: count for code, count in way.late.items()}
        print(
            f"TV{version}: transactions={len(transactions)} seconds={time.monotonic() - began:.1f} "
            f"committed={counts[True]} aborted={counts[False]} unknown={counts[None]} held={way.held} "
            f"gave up={sum(each.gave_up for each in applications)} late={late}"
        )
        assert len(transactions) == size.producers * size.each
        assert sum(way.late.values()) - way.late[ErrorCode.NONE] > 0, "nothing was late for its transaction"
        await check(client, transactions)


async def check(client: Client, transactions: list[Transaction]) -> None:
    found: set[tuple[int, bytes]] = set()
    for partition in range(PARTITIONS):
        values = await committed(client, TOPIC, partition)
        assert len(set(values)) == len(values), "a record is there twice"
        found.update((partition, value) for value in values)
        await check_ends(client, partition)
    for each in transactions:
        there = [record in found for record in each.records]
        assert all(there) or not any(there), f"{each.name} is torn: {there}"
        assert each.committed in (None, there[0]), f"{each.name} was told {each.committed}, and is {there[0]}"
    assert found <= {record for each in transactions for record in each.records}


async def check_ends(client: Client, partition: int) -> None:
    """Between two markers of a producer lies one transaction, and none lies on both sides of one."""
    open_now: dict[int, str] = {}
    ended: set[str] = set()
    offset, end = 0, await client.list_offset(TOPIC, partition)
    assert end == await client.list_offset(TOPIC, partition, read_committed=True), "something is left open"
    while offset < end:
        answer = await client.fetch(TOPIC, partition, offset)
        assert isinstance(answer.records, memoryview)
        for batch in iter_batches(answer.records):
            header = read_header(batch)
            offset = header.last_offset + 1
            if header.is_control:
                ended.add(open_now.pop(header.producer_id, ""))
                continue
            for record in iter_records(batch):
                name = (record.value or b"").decode().rpartition("/")[0]
                assert name not in ended, f"{name} was ended before its last record"
                assert open_now.setdefault(header.producer_id, name) == name, (
                    f"{name} in another's transaction"
                )

"""Goal: every record of a partition arrives once and in order, whatever goes wrong in between. Method: a log in memory
behind a cluster that fails as a script says.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from logd.cli import consume_fetch, patience
from logd.cli.consume_fetch import Arrival, Fetcher
from logd.cli.consume_start import Stretch
from logd.cli.consumed import read_records
from logd.clients.cluster_client import ClusterClient, Unreachable
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.record_builder import build_batch
from protocol.records import Record
from protocol.types import TopicPartition

Fault = ErrorCode | Exception
COUNT = 40
BATCH = 4


class Cluster:
    """Partitions of `COUNT` records in batches of four; a response holds two batches of each, the last one cut."""

    def __init__(self, *script: Fault, first: int = 0) -> None:
        self.script = list(script)
        self.first = first
        self.forgotten: list[tuple[str, int]] = []
        self.reconnects = 0
        self.asked: list[list[int]] = []
        self.versions = {1: (4, 18)}

    async def leader_id(self, topic: str, partition: int) -> int:
        return partition % 2

    def forget_leader(self, topic: str, partition: int) -> None:
        self.forgotten.append((topic, partition))

    async def node(self, node: int) -> Cluster:
        return self

    async def reconnect(self) -> None:
        self.reconnects += 1

    async def call_on(self, client: Any, request: FetchRequest, *, version: int) -> FetchResponse:
        assert version == 12
        await asyncio.sleep(0)
        self.asked.append([row.partition for topic in request.topics for row in topic.partitions])
        rows = []
        for wanted in request.topics[0].partitions:
            fault = self.script.pop(0) if self.script else ErrorCode.NONE
            if isinstance(fault, Exception):
                raise fault
            if fault == ErrorCode.NONE and wanted.fetch_offset < self.first:
                fault = ErrorCode.OFFSET_OUT_OF_RANGE
            records = self._records(wanted.fetch_offset) if fault == ErrorCode.NONE else None
            rows.append(
                FetchResponse.PartitionData(
                    partition_index=wanted.partition,
                    error_code=fault,
                    high_watermark=COUNT,
                    last_stable_offset=COUNT,
                    records=records,
                )
            )
        return FetchResponse(responses=[FetchResponse.FetchableTopicResponse(topic="t", partitions=rows)])

    def _records(self, offset: int) -> bytes:
        base = offset // BATCH * BATCH
        batches = [
            build_batch(
                [Record(at, 0, None, b"%d" % at) for at in range(each, each + BATCH)], base_offset=each
            )
            for each in range(base, min(base + 3 * BATCH, COUNT), BATCH)
        ]
        whole = b"".join(batches)
        return whole[:-5] if len(batches) == 3 else whole


def _fetch(
    cluster: Cluster, stretches: dict[TopicPartition, Stretch], *, timeout_s: float = 5
) -> list[Arrival]:
    async def conversation() -> list[Arrival]:
        fetcher = Fetcher(cast("ClusterClient", cluster), stretches, read_committed=True, timeout_s=timeout_s)
        found = []
        async with asyncio.timeout(60):
            async for arrived in fetcher.arrivals():
                found += arrived
                await asyncio.sleep(0)
        return found

    return asyncio.run(conversation())


def _offsets(arrivals: list[Arrival], partition: int = 0) -> list[int]:
    return [
        offset
        for arrival in arrivals
        if arrival.source.partition == partition
        for batch in arrival.batches
        for offset in read_records(batch, arrival.source).between(arrival.start, arrival.end).offsets
    ]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_S", (0.001, 0.01))


def _partition(index: int = 0) -> TopicPartition:
    return TopicPartition("t", index)


@pytest.mark.parametrize(
    "script",
    [
        [],
        [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NONE, ErrorCode.FENCED_LEADER_EPOCH],
        [ErrorCode.NONE, ConnectionResetError("gone"), ErrorCode.NONE, Unreachable("silent")],
        [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 3,
        [ErrorCode.NONE, BrokerError(ErrorCode.CORRUPT_MESSAGE)],
    ],
)
@pytest.mark.parametrize("partitions", [1, 3])
def test_passing_failures_cost_nothing(script: list[Fault], partitions: int) -> None:
    stretches = {_partition(index): Stretch(3 + index, COUNT) for index in range(partitions)}
    arrivals = _fetch(Cluster(*script), stretches)
    for index in range(partitions):
        assert _offsets(arrivals, index) == list(range(3 + index, COUNT))


@pytest.mark.parametrize(
    ("start", "end"), [(0, COUNT), (5, 6), (7, 23), (COUNT - 1, COUNT), (9, 9), (COUNT, COUNT)]
)
def test_a_stretch_is_read_from_its_start_to_its_end(start: int, end: int) -> None:
    assert _offsets(_fetch(Cluster(), {_partition(): Stretch(start, end)})) == list(range(start, end))


def test_the_end_is_told_once() -> None:
    arrivals = _fetch(Cluster(), {_partition(): Stretch(0, COUNT)})
    assert [each.reached_end for each in arrivals if each.reached_end is not None] == [COUNT]


def test_an_offset_that_is_gone_is_left_behind_with_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def list_offsets(_: Any, partitions: list[TopicPartition], place: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 20 if place == -2 else COUNT)

    monkeypatch.setattr(consume_fetch, "list_offsets", list_offsets)
    assert _offsets(_fetch(Cluster(first=20), {_partition(): Stretch(2, COUNT)})) == list(range(20, COUNT))
    assert capsys.readouterr().err == "logd: offset 2 of t [0] is gone; going on at 20\n"


def test_a_leader_that_moves_is_looked_up_again() -> None:
    cluster = Cluster(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    _fetch(cluster, {_partition(): Stretch(0, COUNT)})
    assert cluster.forgotten == [("t", 0)] and not cluster.reconnects
    cluster = Cluster(ConnectionResetError("gone"))
    _fetch(cluster, {_partition(): Stretch(0, COUNT)})
    assert cluster.reconnects == 1


def test_each_leader_is_asked_for_its_own() -> None:
    cluster = Cluster()
    _fetch(cluster, {_partition(index): Stretch(0, COUNT) for index in range(4)})
    assert {tuple(sorted(each)) for each in cluster.asked} == {(0, 2), (1, 3)}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ([ErrorCode.TOPIC_AUTHORIZATION_FAILED], BrokerError),
        ([ErrorCode.NOT_LEADER_OR_FOLLOWER] * 10_000, BrokerError),
        ([ConnectionResetError("gone")] * 10_000, ConnectionResetError),
        ([Unreachable("a wrong address")], Unreachable),
    ],
)
def test_failures_that_do_not_pass_end_it(script: list[Fault], error: type[Exception]) -> None:
    with pytest.raises(error):
        _fetch(Cluster(*script), {_partition(): Stretch(0, COUNT)}, timeout_s=0.05)


def test_what_is_not_taken_is_not_fetched() -> None:
    async def conversation() -> int:
        cluster = Cluster()
        fetcher = Fetcher(
            cast("ClusterClient", cluster),
            {_partition(): Stretch(0, COUNT)},
            read_committed=True,
            timeout_s=5,
        )
        arrivals = fetcher.arrivals()
        await anext(arrivals)
        await asyncio.sleep(0.1)
        asked = len(cluster.asked)
        await arrivals.aclose()
        return asked

    assert asyncio.run(conversation()) <= 4

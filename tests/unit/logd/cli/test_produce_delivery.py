"""Goal: each record is delivered once, or it is said which was not. Method: a cluster that answers as a script says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from logd.cli import patience, produce_delivery
from logd.cli.produce_delivery import Delivery, Settings, Undeliverable
from logd.cli.produce_queue import ProduceQueue, Run
from logd.clients.cluster_client import ClusterClient, Unreachable
from logd.clients.partitioner import Partitioner
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.records import iter_records, read_header

Answer = ErrorCode | Exception


class Cluster:
    """Keeps what is acknowledged, by sequence as an idempotent log does. Answers are taken from `script`, then NONE."""

    def __init__(self, *script: Answer, leaders: Callable[[int], int] = lambda partition: 1) -> None:
        self.script = list(script)
        self.leaders = leaders
        self.stored: dict[int, list[bytes]] = {}
        self.requests = 0
        self.forgotten: list[int] = []
        self.reconnects = 0
        self.versions = {0: (3, 13)}

    async def call(self, request: Any) -> Any:
        assert isinstance(request, InitProducerIdRequest)
        return InitProducerIdResponse(producer_id=5, producer_epoch=0)

    async def leader_id(self, topic: str, partition: int) -> int:
        return self.leaders(partition)

    def forget_leader(self, topic: str, partition: int) -> None:
        self.forgotten.append(partition)

    async def node(self, node: int) -> Cluster:
        return self

    async def reconnect(self) -> None:
        self.reconnects += 1

    async def call_on(self, client: Any, request: ProduceRequest, *, version: int) -> Any:
        assert version == 12
        self.requests += 1
        await asyncio.sleep(0)
        rows = []
        for row in request.topic_data[0].partition_data:
            answer = self.script.pop(0) if self.script else ErrorCode.NONE
            if isinstance(answer, Exception):
                raise answer
            if answer == ErrorCode.NONE:
                self._store(row.index, row.records)
            rows.append(
                ProduceResponse.PartitionProduceResponse(
                    index=row.index,
                    error_code=answer,
                    record_errors=[
                        ProduceResponse.BatchIndexAndErrorMessage(batch_index=1, batch_index_error_message="")
                    ]
                    if answer == ErrorCode.INVALID_RECORD
                    else [],
                )
            )
        if request.acks == 0:
            return None
        return ProduceResponse(
            responses=[ProduceResponse.TopicProduceResponse(name="t", partition_responses=rows)]
        )

    def _store(self, partition: int, records: Any) -> None:
        header = read_header(records)
        stored = self.stored.setdefault(partition, [])
        values = [record.value or b"" for record in iter_records(records)]
        place = header.base_sequence if header.producer_id >= 0 else len(stored)
        assert place <= len(stored), "a gap"
        assert stored[place : place + len(values)] in ([], values), "not what was sent before"
        stored[place : place + len(values)] = values


def _deliver(
    cluster: Cluster, values: list[bytes], *, acks: int = -1, partitions: int = 1, timeout_s: float = 5
) -> Delivery:
    async def conversation() -> Delivery:
        queue = ProduceQueue(Partitioner(partitions, lambda below: 0), batch_bytes=200)
        settings = Settings("t", Codec.NONE, acks, 0.0, timeout_s)
        delivery = Delivery(cast("ClusterClient", cluster), queue, settings)
        running = asyncio.create_task(delivery.run())
        try:
            for number, value in enumerate(values, 1):
                queue.add(Run(0, (), [(None, value, number)]), (number - 1) % partitions)
                delivery.wake()
            delivery.finish()
            await asyncio.wait_for(running, 10)
        finally:
            running.cancel()
        return delivery

    return asyncio.run(conversation())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_S", (0.001, 0.01))


VALUES = [b"%d" % number * 20 for number in range(20)]


@pytest.mark.parametrize(
    "script",
    [
        [],
        [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NONE, ErrorCode.NOT_ENOUGH_REPLICAS],
        [
            ErrorCode.NONE,
            ConnectionResetError("gone"),
            ConnectionResetError("gone"),
        ],  # with three: one is stored
        [*[ErrorCode.NONE] * 3, Unreachable("silent")],
        [ErrorCode.NONE, BrokerError(ErrorCode.LEADER_NOT_AVAILABLE)],
        [ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.NONE, ErrorCode.RECORD_LIST_TOO_LARGE],
    ],
)
@pytest.mark.parametrize("partitions", [1, 3])
def test_passing_failures_cost_nothing(script: list[Answer], partitions: int) -> None:
    cluster = Cluster(*script)
    assert _deliver(cluster, VALUES, partitions=partitions).acknowledged == len(VALUES)
    for partition in range(partitions):
        assert cluster.stored[partition] == VALUES[partition::partitions]


def test_a_leader_that_moves_is_looked_up_again() -> None:
    cluster = Cluster(ErrorCode.NOT_LEADER_OR_FOLLOWER)
    _deliver(cluster, VALUES)
    assert cluster.forgotten == [0] and not cluster.reconnects
    cluster = Cluster(ErrorCode.NONE, ConnectionResetError("gone"))
    _deliver(cluster, VALUES)
    assert cluster.reconnects == 1


def test_one_request_for_each_leader() -> None:
    cluster = Cluster(leaders=lambda partition: partition % 2)
    _deliver(cluster, VALUES[:6], partitions=6)
    assert cluster.requests == 2


def test_a_duplicate_is_as_good_as_stored() -> None:
    assert _deliver(Cluster(ErrorCode.DUPLICATE_SEQUENCE_NUMBER), VALUES[:1]).acknowledged == 1


def test_acks_0_waits_for_nothing() -> None:
    cluster = Cluster()
    assert _deliver(cluster, VALUES, acks=0).acknowledged == len(VALUES)
    assert cluster.stored[0] == VALUES


@pytest.mark.parametrize(
    ("script", "number", "code"),
    [
        ([ErrorCode.TOPIC_AUTHORIZATION_FAILED], 1, ErrorCode.TOPIC_AUTHORIZATION_FAILED),
        (
            [ErrorCode.INVALID_RECORD],
            2,
            ErrorCode.INVALID_RECORD,
        ),  # the response names the second of the batch
        ([ErrorCode.MESSAGE_TOO_LARGE] * 9, 1, ErrorCode.MESSAGE_TOO_LARGE),
        ([ErrorCode.NONE, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER], 5, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER),
    ],
)
def test_what_is_refused_for_good_is_named(script: list[Answer], number: int, code: ErrorCode) -> None:
    with pytest.raises(Undeliverable) as caught:
        _deliver(Cluster(*script), VALUES)
    assert caught.value.number == number
    assert isinstance(caught.value.reason, BrokerError) and caught.value.reason.code == code


def test_failures_that_do_not_pass_end_it() -> None:
    with pytest.raises(Undeliverable) as caught:
        _deliver(Cluster(*[ErrorCode.NOT_ENOUGH_REPLICAS] * 10_000), VALUES, timeout_s=0.1)
    assert caught.value.number == 1
    with pytest.raises(Undeliverable):
        _deliver(Cluster(*[ConnectionResetError("gone")] * 10_000), VALUES, timeout_s=0.1)


def test_an_address_that_nobody_answers_at_is_told_at_once() -> None:
    cluster = Cluster(Unreachable("wrong address"))
    with pytest.raises(Undeliverable, match="wrong address"):
        _deliver(cluster, VALUES)
    assert cluster.requests == 1


def test_input_waits_while_too_much_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(produce_delivery, "BUFFERED_BYTES_MAX", 500)
    cluster = Cluster()

    async def conversation() -> int:
        queue = ProduceQueue(Partitioner(1, lambda below: 0), batch_bytes=200)
        delivery = Delivery(cast("ClusterClient", cluster), queue, Settings("t", Codec.NONE, -1, 60.0, 5))
        running = asyncio.create_task(delivery.run())
        most = 0
        for number in range(1, 200):
            queue.add(Run(0, (), [(None, b"x" * 50, number)]), 0)
            most = max(most, queue.buffered_bytes)
            delivery.wake()
            await asyncio.wait_for(delivery.room(), 5)
        delivery.finish()
        await asyncio.wait_for(running, 5)
        return most

    assert asyncio.run(conversation()) < 700
    assert len(cluster.stored[0]) == 199

"""The outbox of transactions: split by leader, told once when all have answered, in a turn of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from coordinator.shard import EndTxnMarkers, MarkersAnswered, TransactionMarker
from logd.coordination import outbox
from logd.coordination.outbox import MarkerOutbox
from protocol.errors import ErrorCode
from protocol.types import TopicPartition
from replication.partition_state import NO_LEADER

HERE, ELSEWHERE = 1, 2

HERE_0, HERE_1 = TopicPartition("here", 0), TopicPartition("here", 1)
AWAY, NOBODYS, GONE = TopicPartition("away", 0), TopicPartition("nobodys", 0), TopicPartition("gone", 0)

Written = Callable[[ErrorCode], None]


def markers(*partitions: TopicPartition) -> EndTxnMarkers:
    return EndTxnMarkers("x", 7, 3, True, 9, 2, partitions)


class World:
    """A node that leads topic `here`; what is to be written there waits until the test answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: dict[TopicPartition, tuple[TransactionMarker, Written]] = {}
        self.told: list[MarkersAnswered] = []
        monkeypatch.setattr(outbox, "write_marker", self._write)
        leaders = {"here": [HERE, HERE], "away": [ELSEWHERE], "nobodys": [NO_LEADER]}
        topics = {
            name: SimpleNamespace(
                partitions={index: SimpleNamespace(leader_id=leader) for index, leader in enumerate(row)}
            )
            for name, row in leaders.items()
        }
        broker: Any = SimpleNamespace(
            node_id=HERE,
            loop=asyncio.get_running_loop(),
            metadata=SimpleNamespace(image=SimpleNamespace(topics=topics)),
        )
        self.outbox = MarkerOutbox(broker, self.told.append)

    def _write(
        self, _broker: Any, partition: TopicPartition, marker: TransactionMarker, written: Written
    ) -> None:
        self.asked[partition] = marker, written

    def answer(self, partition: TopicPartition, code: ErrorCode) -> None:
        self.asked.pop(partition)[1](code)


def run(monkeypatch: pytest.MonkeyPatch, scenario: Callable[[World], Any]) -> None:
    async def main() -> None:
        await scenario(World(monkeypatch))

    asyncio.run(main())


def test_the_marker_says_what_the_send_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        world.outbox.send(markers(HERE_0))
        marker, _ = world.asked[HERE_0]
        assert marker == ((7, 3), True, 9, 2)

    run(monkeypatch, scenario)


def test_the_shard_is_told_once_when_all_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        sent = markers(HERE_0, HERE_1)
        world.outbox.send(sent)
        world.answer(HERE_1, ErrorCode.NOT_ENOUGH_REPLICAS)
        await asyncio.sleep(0)
        assert world.told == []
        world.answer(HERE_0, ErrorCode.NONE)
        assert world.told == [], "not in the turn in which the last one answers"
        await asyncio.sleep(0)
        (answered,) = world.told
        assert answered.markers is sent
        assert dict(answered.codes) == {HERE_0: ErrorCode.NONE, HERE_1: ErrorCode.NOT_ENOUGH_REPLICAS}

    run(monkeypatch, scenario)


def test_partitions_that_cannot_be_asked_are_answered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        world.outbox.send(markers(AWAY, NOBODYS, GONE))
        assert world.told == [], "not from within"
        await asyncio.sleep(0)
        (answered,) = world.told
        assert dict(answered.codes) == {
            AWAY: ErrorCode.NOT_LEADER_OR_FOLLOWER,
            NOBODYS: ErrorCode.NOT_LEADER_OR_FOLLOWER,
            GONE: ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        }

    run(monkeypatch, scenario)


def test_partitions_here_and_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(world: World) -> None:
        world.outbox.send(markers(GONE, HERE_0, AWAY))
        await asyncio.sleep(0)
        assert world.told == []
        world.answer(HERE_0, ErrorCode.NONE)
        await asyncio.sleep(0)
        (answered,) = world.told
        assert len(answered.codes) == 3

    run(monkeypatch, scenario)


def test_very_many_partitions_leave_room_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "_SLICE", 1)

    async def scenario(world: World) -> None:
        world.outbox.send(markers(HERE_0, HERE_1, AWAY))
        assert list(world.asked) == [HERE_0], "one slice in the turn of the send"
        world.answer(HERE_0, ErrorCode.NONE)
        await asyncio.sleep(0)
        assert list(world.asked) == [HERE_1]
        world.answer(HERE_1, ErrorCode.NONE)
        await asyncio.sleep(0)
        (answered,) = world.told
        assert dict(answered.codes) == {
            HERE_0: ErrorCode.NONE,
            HERE_1: ErrorCode.NONE,
            AWAY: ErrorCode.NOT_LEADER_OR_FOLLOWER,
        }
        await asyncio.sleep(0)
        assert not world.asked

    run(monkeypatch, scenario)

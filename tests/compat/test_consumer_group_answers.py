"""What the coordinator answers to single heartbeats of KIP-848: codes, epochs, assignments.

Every expectation here holds for Apache Kafka, too: `LOGD_TEST_TARGET=kafka pytest` with this file has the same
conversations with it. Where logd deviates on purpose there is none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from tests.support.patience import until_settled

INTERVAL_MIN_S = 1.0
"""So much there has to be between two assignments."""
INTERVAL_S = 1.1


class Talk:
    """A topic of four partitions, and a group of its own."""

    def __init__(self, client: Client, topic: str, topic_id: bytes) -> None:
        self.client = client
        self.topic = topic
        self.topic_id = topic_id
        self.group = f"group-of-{topic}"

    async def beat(self, member: str, epoch: int, **fields: Any) -> Any:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=member, member_epoch=epoch, **fields
        )
        return await self.client.call(request, version=1)

    async def join(self, member: str, **fields: Any) -> Any:
        """Join, for the first time as soon as there is a coordinator."""
        given = {
            "subscribed_topic_names": [self.topic],
            "rebalance_timeout_ms": 30_000,
            "topic_partitions": [],
        }

        async def ask() -> Any:
            await self.client.call(FindCoordinatorRequest(coordinator_keys=[self.group]))
            return await self.beat(member, 0, **{**given, **fields})

        return await until_settled(ask, lambda response: ErrorCode(response.error_code))

    def owns(self, *partitions: int) -> list[ConsumerGroupHeartbeatRequest.TopicPartitions]:
        return [
            ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=self.topic_id, partitions=list(partitions))
        ]

    def told(self, response: Any) -> list[int] | None:
        """Return the partitions that an answer assigns; None when it says nothing of them."""
        if response.assignment is None:
            return None
        return sorted(p for topic in response.assignment.topic_partitions for p in topic.partitions)


@pytest.fixture
def talk(bootstrap: str, topic: str) -> Callable[[Callable[[Talk], Coroutine[Any, Any, None]]], None]:
    """Have a conversation over one connection."""

    def talk(conversation: Callable[[Talk], Coroutine[Any, Any, None]]) -> None:
        async def connected() -> None:
            host, _, port = bootstrap.rpartition(":")
            async with asyncio.timeout(200), await Client.connect(host, int(port)) as client:
                created = await client.create_topic(topic, partitions=4)
                await asyncio.sleep(0.3)  # until Kafka's coordinator knows of it
                await conversation(Talk(client, topic, created.topic_id))

        asyncio.run(connected())

    return talk


Tell = Callable[[Callable[[Talk], Coroutine[Any, Any, None]]], None]


def test_one_gives_up_what_another_is_given(talk: Tell) -> None:
    async def conversation(group: Talk) -> None:
        for attempt in range(20):
            group.group = f"group-{attempt}-of-{group.topic}"
            began = time.monotonic()
            first = await group.join("a")
            assert (first.error_code, first.member_epoch, group.told(first)) == (0, 2, [0, 1, 2, 3])
            assert first.heartbeat_interval_ms == 5_000 and first.error_message is None
            second = await group.join("b")
            if time.monotonic() - began < INTERVAL_MIN_S:
                break
        else:
            pytest.fail("the machine is too busy for two to join within a second")
        assert (second.member_epoch, group.told(second)) == (2, [])  # so soon there is no new assignment
        await asyncio.sleep(INTERVAL_S)
        second = await group.beat("b", 2)
        assert (second.member_epoch, group.told(second)) == (3, None)
        first = await group.beat("a", 2)
        kept = group.told(first)
        assert first.member_epoch == 2 and kept is not None and len(kept) == 2
        assert group.told(await group.beat("a", 2, topic_partitions=group.owns(0, 1, 2, 3))) is None
        assert (await group.beat("b", 3)).assignment is None
        first = await group.beat("a", 2, topic_partitions=group.owns(*kept))
        assert (first.member_epoch, group.told(first)) == (3, None)
        second = await group.beat("b", 3)
        assert (second.member_epoch, group.told(second)) == (3, sorted({0, 1, 2, 3} - set(kept)))
        # A request that says everything is told everything.
        first = await group.beat(
            "a",
            3,
            rebalance_timeout_ms=30_000,
            subscribed_topic_names=[group.topic],
            topic_partitions=group.owns(*kept),
        )
        assert group.told(first) == kept

    talk(conversation)


def test_epochs_that_are_refused_and_one_that_is_not(talk: Tell) -> None:
    async def conversation(group: Talk) -> None:
        await group.join("a")
        await asyncio.sleep(INTERVAL_S)
        moved = await group.beat("a", 2, subscribed_topic_names=[group.topic, "other"])
        assert moved.member_epoch == 3
        assert (await group.beat("a", 4)).error_code == ErrorCode.FENCED_MEMBER_EPOCH
        assert (await group.beat("a", 1)).error_code == ErrorCode.FENCED_MEMBER_EPOCH
        assert (await group.beat("a", 2)).error_code == ErrorCode.FENCED_MEMBER_EPOCH
        again = await group.beat("a", 2, topic_partitions=group.owns(0, 1))
        assert (again.error_code, again.member_epoch) == (0, 3)
        more = await group.beat("a", 2, topic_partitions=group.owns(0, 9))
        assert more.error_code == ErrorCode.FENCED_MEMBER_EPOCH
        assert (await group.beat("b", 3)).error_code == ErrorCode.UNKNOWN_MEMBER_ID
        back = await group.join("a")
        assert back.error_code == 0 and group.told(back) == [0, 1, 2, 3]

    talk(conversation)


def test_static_members(talk: Tell) -> None:
    async def conversation(group: Talk) -> None:
        assert group.told(await group.join("s1", instance_id="s")) == [0, 1, 2, 3]
        twin = await group.join("s2", instance_id="s")
        assert twin.error_code == ErrorCode.UNRELEASED_INSTANCE_ID
        assert (await group.beat("s2", 2, instance_id="s")).error_code == ErrorCode.FENCED_INSTANCE_ID
        away = await group.beat("s1", -2, instance_id="s")
        assert (away.error_code, away.member_id, away.member_epoch) == (0, "s1", -2)
        back = await group.join("s2", instance_id="s")
        assert (back.member_epoch, group.told(back)) == (2, [0, 1, 2, 3])
        assert (await group.beat("s1", 2, instance_id="s")).error_code == ErrorCode.FENCED_INSTANCE_ID
        gone = await group.beat("s2", -1, instance_id="s")
        assert (gone.error_code, gone.member_epoch) == (0, -1)
        assert (await group.beat("s2", -1, instance_id="s")).error_code == ErrorCode.UNKNOWN_MEMBER_ID

    talk(conversation)


def test_requests_that_are_refused(talk: Tell) -> None:
    async def conversation(group: Talk) -> None:
        await group.join("a")
        refused = {
            ErrorCode.INVALID_REQUEST: (
                await group.beat("", 1),
                await group.beat("a", -3),
                await group.beat("a", -2),
                await group.join("b", rebalance_timeout_ms=-1),
                await group.join("b", topic_partitions=None),
                await group.join("b", topic_partitions=group.owns(0)),
                await group.join("b", subscribed_topic_names=None),
                await group.join("b", instance_id=""),
                await group.join("b", rack_id=""),
            ),
            ErrorCode.UNSUPPORTED_ASSIGNOR: (await group.join("b", server_assignor="sticky"),),
            ErrorCode.INVALID_REGULAR_EXPRESSION: (await group.join("b", subscribed_topic_regex="("),),
        }
        for code, answers in refused.items():
            assert [answer.error_code for answer in answers] == [code] * len(answers)
            assert all(answer.error_message and not answer.member_id for answer in answers)
        group.group = "nobody's"
        assert (await group.beat("a", 1)).error_code == ErrorCode.GROUP_ID_NOT_FOUND
        assert (await group.beat("a", -1)).error_code == ErrorCode.GROUP_ID_NOT_FOUND

    talk(conversation)

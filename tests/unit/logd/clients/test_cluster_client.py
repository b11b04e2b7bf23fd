"""Goal: the way to a broker and to a leader is found, and what stands in the way is named.

Method: a node in this process, reached through ClusterClient; a leader that moves is played by what the work raises.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient, Unreachable, broker_error, has_moved
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_quorum import DescribeQuorumRequest
from tests.support.node import Node, play


@contextmanager
def _refused() -> Iterator[tuple[str, int]]:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets it
        host, port = taken.getsockname()
        yield host, port


async def _connect(node: Node) -> ClusterClient:
    return await ClusterClient.connect([("127.0.0.1", node.port)], timeout_s=5)


def test_the_first_address_that_answers_is_taken() -> None:
    async def scenario(node: Node) -> None:
        answers = ("127.0.0.1", node.port)
        with _refused() as refused:
            async with await ClusterClient.connect([refused, answers], timeout_s=60) as cluster:
                assert cluster.address == answers

    play(scenario)


def test_silent_addresses_share_the_time() -> None:
    async def scenario(node: Node) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            addresses = [silent.getsockname(), ("127.0.0.1", node.port)]
            started = asyncio.get_running_loop().time()
            async with await ClusterClient.connect(addresses, timeout_s=3) as cluster:
                assert cluster.address == addresses[1]
            assert asyncio.get_running_loop().time() - started < 3

    play(scenario)


def test_every_address_that_fails_is_named() -> None:
    async def scenario(node: Node) -> None:
        with _refused() as first, _refused() as second:
            named = rf"{first[1]}: connection refused, .*{second[1]}: .*--bootstrap"
            with pytest.raises(Unreachable, match=named):
                await ClusterClient.connect([first, second], timeout_s=60)

    play(scenario)


def test_the_bootstrap_connection_serves_the_leader_at_the_same_address() -> None:
    async def scenario(node: Node) -> None:
        async with await _connect(node) as cluster:
            await cluster.any.create_topic("t")
            assert await cluster.leader("t", 0) is cluster.any
            assert await cluster.node(1) is cluster.any

    play(scenario)


def test_another_address_of_the_same_node_gets_a_connection_of_its_own() -> None:
    async def scenario(node: Node) -> None:
        async with await ClusterClient.connect([("localhost", node.port)], timeout_s=5) as cluster:
            await cluster.any.create_topic("t")
            leader = await cluster.leader("t", 0)
            assert leader is not cluster.any
            assert leader is await cluster.node(1)
            assert await leader.list_offset("t", 0) == 0

    play(scenario)


def test_what_is_not_there() -> None:
    async def scenario(node: Node) -> None:
        async with await _connect(node) as cluster:
            await cluster.any.create_topic("t")
            for topic, partition in (("missing", 0), ("t", 1)):
                with pytest.raises(BrokerError) as caught:
                    await cluster.leader_id(topic, partition)
                assert caught.value.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            with pytest.raises(BrokerError, match="no live node 9") as caught:
                await cluster.node(9)
            assert caught.value.code == ErrorCode.BROKER_NOT_AVAILABLE

    play(scenario)


def test_a_leader_that_has_moved_is_looked_up_once_more() -> None:
    async def scenario(node: Node) -> None:
        tries: list[Client] = []

        async def work(leader: Client) -> str:
            tries.append(leader)
            if len(tries) == 1:
                raise BrokerError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
            return "done"

        async def never(leader: Client) -> str:
            tries.append(leader)
            raise BrokerError(ErrorCode.LEADER_NOT_AVAILABLE)

        async with await _connect(node) as cluster:
            await cluster.any.create_topic("t")
            assert await cluster.on_leader("t", 0, work) == "done"
            assert len(tries) == 2
            tries.clear()
            with pytest.raises(BrokerError, match="LEADER_NOT_AVAILABLE"):
                await cluster.on_leader("t", 0, never)
            assert len(tries) == 2

    play(scenario)


def test_other_refusals_are_not_tried_again() -> None:
    async def scenario(node: Node) -> None:
        tries = 0

        async def work(leader: Client) -> None:
            nonlocal tries
            tries += 1
            raise BrokerError(ErrorCode.MESSAGE_TOO_LARGE)

        async with await _connect(node) as cluster:
            await cluster.any.create_topic("t")
            with pytest.raises(BrokerError, match="MESSAGE_TOO_LARGE"):
                await cluster.on_leader("t", 0, work)
        assert tries == 1

    play(scenario)


def test_a_request_that_the_broker_does_not_know() -> None:
    async def scenario(node: Node) -> None:
        async with await _connect(node) as cluster:
            cluster.any.versions.pop(DescribeQuorumRequest.API_KEY, None)  # type: ignore[attr-defined]
            with pytest.raises(BrokerError, match="does not offer DescribeQuorum") as caught:
                await cluster.call(DescribeQuorumRequest())
            assert caught.value.code == ErrorCode.UNSUPPORTED_VERSION

    play(scenario)


def test_codes_of_later_brokers() -> None:
    error = broker_error(12_345, None)
    assert error.code == ErrorCode.UNKNOWN_SERVER_ERROR and "12345" in str(error)
    assert broker_error(3, "gone").message == "gone"
    assert not has_moved(error) and has_moved(broker_error(6, None)) and not has_moved(7)

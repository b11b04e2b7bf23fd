"""Sockets, order, limits and back-pressure, over real loopback connections with a dispatcher of the test's own.

Request body: a verb byte and an argument. The answers are frames too: `E` echoes, `L` answers later when released,
`R` releases one of those,
`F` sends so many bytes of a file between two pieces of bytes, `B` answers with as many bytes as asked for, `V` violates
the protocol.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from logd.connection import IN_FLIGHT_MAX, Connection
from logd.server import Server, ServerLimits
from protocol.connection import ResponseSlot
from protocol.errors import ProtocolViolation
from storage.fs import OpenMode
from storage.fs.real import RealFileSystem
from storage.region import FileRegion

LIMITS = ServerLimits(
    request_bytes_max=1 << 20,
    connections_max=8,
    connections_per_ip_max=8,
    connections_per_ip_overrides={},
    idle_ms_max=60_000,
    queued_bytes_max=-1,
    backlog=16,
)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


class Node:
    """A server with the test's dispatcher behind it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, limits: ServerLimits) -> None:
        self.later: list[tuple[Connection, ResponseSlot, bytes]] = []
        self.requests: list[bytes] = []
        self.content = bytes(range(256)) * 8192
        (path / "segment").write_bytes(self.content)
        self.file = RealFileSystem().open(str(path / "segment"), OpenMode.READ)
        self.server = Server(loop, limits, self.dispatch, wake=lambda: None)
        self.address = self.server.bind("TEST", "127.0.0.1", 0)
        self.server.start()

    def dispatch(self, connection: Connection, frame: memoryview) -> None:
        verb, argument = bytes(frame[:1]), bytes(frame[1:])
        self.requests.append(bytes(frame))
        if verb == b"E":
            connection.responses.send([framed(argument)])
        elif verb == b"L":
            self.later.append((connection, connection.responses.reserve(), argument))
        elif verb == b"R":
            self.release(int(argument))
            connection.responses.send([framed(b"released")])
        elif verb == b"F":
            region = FileRegion(self.file, 100, int(argument))
            connection.responses.send([struct.pack(">i", region.size + 4) + b"<<", region, b">>"])
        elif verb == b"B":
            connection.responses.send([framed(bytes(int(argument)))])
        else:
            raise ProtocolViolation("test")

    def release(self, number: int) -> None:
        connection, slot, argument = self.later[number]
        connection.respond(slot, [framed(argument)])


class Peer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *bodies: bytes) -> None:
        self.writer.write(b"".join(map(framed, bodies)))

    async def answer(self) -> bytes:
        (size,) = struct.unpack(">i", await asyncio.wait_for(self.reader.readexactly(4), 10))
        return await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def at_end(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(1), 10) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.writer.close()


Scenario = Callable[[Node], Awaitable[None]]


def _uvloop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


@pytest.fixture(params=[asyncio.new_event_loop, _uvloop], ids=["asyncio", "uvloop"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    def run(scenario: Scenario, limits: ServerLimits = LIMITS) -> None:
        async def main() -> None:
            node = Node(asyncio.get_running_loop(), tmp_path, limits)
            try:
                await scenario(node)
            finally:
                await node.server.stop(0)

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return run


async def connect(node: Node) -> Peer:
    return Peer(*await asyncio.open_connection(*node.address))


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


Play = Callable[..., None]


def test_pipelined_requests_are_answered_in_order(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        peer.send(b"Eone", b"Ltwo", b"Ethree", b"Lfour", b"Efive")
        await eventually(lambda: len(node.later) == 2)
        node.release(1)
        assert await peer.answer() == b"one"
        node.release(0)
        assert [await peer.answer() for _ in range(4)] == [b"two", b"three", b"four", b"five"]
        peer.close()

    play(scenario)


def test_regions_of_a_file_go_out_between_bytes(play: Play) -> None:
    sizes = 1_000_000, 5, 16_384, 2_000_000

    async def scenario(node: Node) -> None:
        peer = await connect(node)
        peer.send(b"Ebefore", *(b"F%d" % size for size in sizes), b"Eafter")
        assert await peer.answer() == b"before"
        for size in sizes:
            assert await peer.answer() == b"<<" + node.content[100 : 100 + size] + b">>"
        assert await peer.answer() == b"after"
        peer.close()

    play(scenario)


@pytest.mark.parametrize("size", [16_384, 2_000_000])
def test_a_file_that_ends_early_ends_the_connection(play: Play, size: int) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        with open(node.file.name, "r+b") as file:
            file.truncate(1000)
        peer.send(b"F%d" % size)
        with pytest.raises(asyncio.IncompleteReadError):
            await peer.answer()
        peer.close()

    play(scenario)


def test_an_answer_to_another_client_leaves_the_rest_of_this_receive_alone(play: Play) -> None:
    """The other has requests that were held back: they are taken up later, not in the shared buffer of this turn."""

    async def scenario(node: Node) -> None:
        waiting, asking = await connect(node), await connect(node)
        waiting.send(*[b"L%d" % number for number in range(IN_FLIGHT_MAX)], *[b"Eheld back"] * 50)
        while len(node.later) < IN_FLIGHT_MAX:
            await asyncio.sleep(0.001)
        asking.send(b"R0", *[b"Ehello %d" % number for number in range(50)])
        assert await asking.answer() == b"released"
        for number in range(50):
            assert await asking.answer() == b"hello %d" % number
        for number in range(1, IN_FLIGHT_MAX):
            node.release(number)
        for number in range(IN_FLIGHT_MAX):
            assert await waiting.answer() == b"%d" % number
        for _ in range(50):
            assert await waiting.answer() == b"held back"
        waiting.close()
        asking.close()

    play(scenario)


class StutteringSocket:
    """A socket that is full at every other send, and has room again at once."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: bytes, flags: int = 0) -> int:
        self._full = not self._full
        if self._full:
            raise BlockingIOError
        return self._sock.send(data, flags)


def test_requests_held_back_go_on_when_the_socket_has_room_again_at_once(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connection(server: Server, sock: socket.socket, **names: str) -> Connection:
        return Connection(server, cast("socket.socket", StutteringSocket(sock)), **names)

    monkeypatch.setattr("logd.server.Connection", connection)

    async def scenario(node: Node) -> None:
        peer = await connect(node)
        peer.send(*[b"B100000"] * 20)
        for _ in range(20):
            assert len(await peer.answer()) == 100_000
        peer.close()

    play(scenario)


class NarrowSocket:
    """A socket that takes an answer in pieces."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.to_be_told: Callable[[int], None] = lambda size: None
        """Called with what each send offers."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def send(self, data: bytes | memoryview, flags: int = 0) -> int:
        self.to_be_told(len(data))
        return self._sock.send(memoryview(data)[:100_000], flags)


def test_an_answer_that_goes_out_in_pieces_holds_up_the_next_request(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[tuple[Connection, NarrowSocket]] = []

    def connection(server: Server, sock: socket.socket, **names: str) -> Connection:
        narrow = NarrowSocket(sock)
        accepted.append((Connection(server, cast("socket.socket", narrow), **names), narrow))
        return accepted[0][0]

    monkeypatch.setattr("logd.server.Connection", connection)

    async def scenario(node: Node) -> None:
        peer = await connect(node)
        await eventually(lambda: bool(accepted))
        ((client, narrow),) = accepted
        sends: list[tuple[int, int, int]] = []
        narrow.to_be_told = lambda offered: sends.append(
            (offered, client.responses.ready_bytes, len(node.requests))
        )
        peer.send(b"B300000", b"Eafter")
        assert await peer.answer() == bytes(300_000)
        assert await peer.answer() == b"after"
        *pieces, last = sends
        assert pieces[0] == (300_004, 300_004, 1) and len(pieces) > 3
        assert all(offered == left and taken == 1 for offered, left, taken in pieces)
        assert sorted(pieces, reverse=True) == pieces
        assert last == (9, 9, 2)
        await eventually(lambda: client.idle)
        assert client.responses.ready_bytes == 0
        peer.close()

    play(scenario)


def test_a_client_that_does_not_read_is_not_read_from(play: Play) -> None:
    async def scenario(node: Node) -> None:
        slow, other = await connect(node), await connect(node)
        slow.send(*[b"B100000"] * 2000)
        other.send(b"Ehello")
        assert await other.answer() == b"hello"
        await asyncio.sleep(0.05)
        taken = len(node.requests)
        assert taken < 500
        for _ in range(2000):
            assert len(await slow.answer()) == 100_000
        assert len(node.requests) == 2001
        slow.close()
        other.close()

    play(scenario)


def test_requests_in_flight_are_bounded_and_none_is_lost(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        count = 3 * IN_FLIGHT_MAX
        peer.send(*[b"L%d" % number for number in range(count)])
        await eventually(lambda: len(node.later) == IN_FLIGHT_MAX)
        await asyncio.sleep(0.02)
        assert len(node.later) == IN_FLIGHT_MAX
        for number in range(count):
            await eventually(lambda n=number: len(node.later) > n)
            node.release(number)
            assert await peer.answer() == b"%d" % number
        peer.close()

    play(scenario)


def test_a_violation_ends_the_connection_after_earlier_answers(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer, other = await connect(node), await connect(node)
        peer.send(b"Eone", b"V", b"Enever")
        assert await peer.answer() == b"one"
        assert await peer.at_end()
        other.send(b"Estill here")
        assert await other.answer() == b"still here"
        assert b"Enever" not in node.requests
        peer.close()
        other.close()

    play(scenario)


def test_a_frame_above_the_limit_ends_the_connection(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        peer.writer.write(struct.pack(">i", LIMITS.request_bytes_max + 1))
        assert await peer.at_end()
        peer.close()

    play(scenario)


def test_an_idle_client_is_closed_and_a_waiting_one_is_not(play: Play) -> None:
    async def scenario(node: Node) -> None:
        idle, waiting = await connect(node), await connect(node)
        waiting.send(b"Lanswer")
        assert await idle.at_end()
        node.release(0)
        assert await waiting.answer() == b"answer"
        idle.close()
        waiting.close()

    play(scenario, LIMITS._replace(idle_ms_max=1000))


def test_connections_beyond_the_limit_wait_for_a_place(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peers = [await connect(node) for _ in range(3)]
        for peer in peers:
            peer.send(b"Ehello")
        assert [await peers[0].answer(), await peers[1].answer()] == [b"hello", b"hello"]
        await asyncio.sleep(0.02)
        assert len(node.requests) == 2
        peers[0].close()
        assert await peers[2].answer() == b"hello"
        for peer in peers[1:]:
            peer.close()

    play(scenario, LIMITS._replace(connections_max=2))


def test_connections_of_one_host_are_bounded(play: Play) -> None:
    async def scenario(node: Node) -> None:
        first, second = await connect(node), await connect(node)
        assert await second.at_end()
        first.send(b"Ehello")
        assert await first.answer() == b"hello"
        first.close()
        await eventually(lambda: not node.server.connections)
        third = await connect(node)
        third.send(b"Eagain")
        assert await third.answer() == b"again"
        second.close()
        third.close()

    play(scenario, LIMITS._replace(connections_per_ip_max=1))


def test_requests_received_in_part_are_bounded_over_all_connections(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peers = [await connect(node) for _ in range(3)]
        first, second, third = peers
        frame = framed(b"E" + bytes(60_000))

        def holding() -> int:
            return sum(connection.accounted_bytes > 0 for connection in node.server.connections)

        for count, peer in enumerate(peers, 1):
            peer.writer.write(frame[:40_000])
            await eventually(lambda expected=count: holding() == expected)
        third.writer.write(frame[40_000:])
        await asyncio.sleep(0.05)
        assert node.requests == []  # the second is the one that may go on beyond the bound
        second.writer.write(frame[40_000:])
        assert len(await second.answer()) == 60_000
        first.writer.write(frame[40_000:])
        assert len(await first.answer()) == len(await third.answer()) == 60_000
        for peer in peers:
            peer.close()

    play(scenario, LIMITS._replace(queued_bytes_max=300 * 1024))


def test_requests_that_fill_the_bound_together_are_finished_one_after_the_other(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peers = [await connect(node) for _ in range(6)]
        frame = framed(b"E" + bytes(1_000_000))
        for start in range(0, len(frame), 50_000):
            for peer in peers:
                peer.writer.write(frame[start : start + 50_000])
            await asyncio.sleep(0.005)
        for peer in peers:
            assert len(await peer.answer()) == 1_000_000
            peer.close()

    play(scenario, LIMITS._replace(queued_bytes_max=2 << 20))


def test_a_client_that_leaves_amid_its_request_lets_the_next_one_finish(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peers = [await connect(node) for _ in range(3)]
        frame = framed(b"E" + bytes(500_000))
        for peer in peers:
            peer.writer.write(frame[:300_000])
        await asyncio.sleep(0.05)
        for leaving in peers[:2]:
            leaving.close()
        peers[2].writer.write(frame[300_000:])
        assert len(await peers[2].answer()) == 500_000
        peers[2].close()

    play(scenario, LIMITS._replace(queued_bytes_max=100_000))


def test_a_bound_of_zero_on_partly_received_requests_is_none(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        frame = framed(b"E" + bytes(500_000))
        peer.writer.write(frame[:200_000])
        await asyncio.sleep(0.05)
        peer.writer.write(frame[200_000:])
        assert len(await peer.answer()) == 500_000
        peer.close()

    play(scenario, LIMITS._replace(queued_bytes_max=0))


def test_stop_lets_requests_in_hand_finish(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer, quiet = await connect(node), await connect(node)
        peer.send(b"Lanswer")
        await eventually(lambda: len(node.later) == 1)
        stopping = asyncio.create_task(node.server.stop(5))
        await asyncio.sleep(0.02)
        assert await quiet.at_end()
        with pytest.raises(ConnectionRefusedError):
            await connect(node)
        node.release(0)
        assert await peer.answer() == b"answer"
        assert await peer.at_end()
        await stopping
        peer.close()
        quiet.close()

    play(scenario)


def test_stop_does_not_wait_for_ever(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        peer.send(b"Lnever")
        await eventually(lambda: len(node.later) == 1)
        await node.server.stop(0.05)
        assert await peer.at_end()
        peer.close()

    play(scenario)


def test_an_answer_for_a_client_that_left_is_dropped(play: Play) -> None:
    async def scenario(node: Node) -> None:
        peer = await connect(node)
        peer.send(b"Lanswer")
        await eventually(lambda: len(node.later) == 1)
        peer.close()
        await eventually(lambda: not node.server.connections)
        node.release(0)

    play(scenario)


@pytest.mark.skipif(not socket.has_ipv6, reason="the interpreter is built without IPv6")
def test_ipv6(tmp_path: Path) -> None:
    async def main() -> None:
        node = Node(asyncio.get_running_loop(), tmp_path, LIMITS)
        host, port = node.server.bind("V6", "::1", 0)
        node.server._stop_accepting()
        node.server._accept_again()
        reader, writer = await asyncio.open_connection(host, port)
        peer = Peer(reader, writer)
        peer.send(b"Ehello")
        assert await peer.answer() == b"hello"
        peer.close()
        await node.server.stop(0)

    asyncio.run(main())

"""Goal: a connection is used again after a whole answer, and closed after anything else. Method: a server that sees."""

from __future__ import annotations

import asyncio

import pytest

from bench.clients.kept_connections import KeptConnections
from tests.support.patience import PATIENCE_S

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with the bytes that come next; None: with silence. Counts connections."""

    def __init__(self, answers: list[bytes | None]) -> None:
        self._answers = answers
        self.opened = 0
        self.open = 0
        self.answered = asyncio.Event()

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.open += 1
        try:
            while await reader.read(1000):
                answer = self._answers.pop(0)
                if answer is not None:
                    writer.write(answer)
                self.answered.set()
        except ConnectionResetError:
            pass  # closed as well
        finally:
            self.open -= 1
            writer.close()

    async def until_open(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while self.open != count:
                await asyncio.sleep(0.01)


def test_a_connection_is_used_again() -> None:
    async def scenario() -> None:
        async with Server([WHOLE, WHOLE]) as server:
            client = KeptConnections()
            for _ in range(2):
                assert await client.request("GET", "127.0.0.1", server.port, "/") == (200, b"ok")
            assert server.opened == 1
            await client.close()
            await server.until_open(0)

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [None, WHOLE[:-1], b"HTTP/1.1 nonsense\r\n\r\n"])
def test_a_failure_leaves_no_connection_open(answer: bytes | None) -> None:
    async def scenario() -> None:
        async with Server([answer]) as server:
            client = KeptConnections()
            request = asyncio.create_task(client.request("GET", "127.0.0.1", server.port, "/"))
            await server.answered.wait()
            request.cancel()
            (failure,) = await asyncio.gather(request, return_exceptions=True)
            assert isinstance(failure, asyncio.CancelledError | ValueError)
            await server.until_open(0)

    asyncio.run(scenario())

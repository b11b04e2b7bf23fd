"""A blocking client for measuring: one connection, typed calls for setting up, prebuilt frames for the loop.

Everything that costs time is done before the clock starts: a frame is bytes that are sent as they are, and an
answer is read into a reused buffer and forgotten.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from logd.load import produce
from logd.load.frames import FETCH_VERSION, PRODUCE_VERSION, frame
from protocol.client import ClientConnection
from protocol.errors import ErrorCode
from protocol.messages.create_topics import CreateTopicsRequest
from protocol.messages.delete_topics import DeleteTopicsRequest
from protocol.messages.fetch import FetchRequest
from protocol.messages.list_offsets import ListOffsetsRequest
from protocol.messages.message import Message
from protocol.records import HEADER_SIZE, read_header

FETCH_BYTES = 1 << 20  # max.partition.fetch.bytes of the standard clients
_ANSWER_BUFFER = 1 << 21
_SIZE = struct.Struct(">i")

__all__ = ["FETCH_VERSION", "PRODUCE_VERSION", "frame"]  # and all that is defined here


class Connection:
    """One blocking connection. Not for several threads."""

    def __init__(self, bootstrap: str, timeout_s: float = 30, *, answer_bytes: int = _ANSWER_BUFFER) -> None:
        """`answer_bytes`: the largest answer that `exchange` can take."""
        host, _, port = bootstrap.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._protocol = ClientConnection(client_id="bench")
        self._answer = memoryview(bytearray(answer_bytes))

    def call(self, request: Message, version: int | None = None) -> Any:
        """One typed request and its answer."""
        if version is None and self._protocol.versions is None:
            self._protocol.handshake()
            self._send_queued()
            while self._protocol.versions is None:
                self._receive()
        self._protocol.send(request, version)
        self._send_queued()
        while True:
            response = self._protocol.next_response()
            if response is not None:
                return response.message
            self._receive()

    def exchange(self, frame: bytes) -> int:
        """Send a prebuilt frame, read one answer, return its size. The answer is in `answer` until the next."""
        self.socket.sendall(frame)
        return self.read_answer()

    def read_answer(self) -> int:
        view = self._answer
        receive = self.socket.recv_into
        got = receive(view)
        while got < 4:
            got += self._more(view[got:])
        (size,) = _SIZE.unpack_from(view)
        total: int = size + 4
        while got < total:
            got += self._more(view[got:total])
        return total

    def answer(self, size: int) -> memoryview:
        """The bytes of the last answer, its size field left out."""
        return self._answer[4:size]

    def close(self) -> None:
        self.socket.close()

    def _more(self, view: memoryview) -> int:
        got = self.socket.recv_into(view)
        if got == 0:
            raise ConnectionError("the broker closed the connection")
        return got

    def _send_queued(self) -> None:
        for chunk in self._protocol.take_outgoing():
            self.socket.sendall(chunk)  # type: ignore[arg-type]
        if self._protocol.next_response() is not None:
            raise AssertionError("an answer came early")

    def _receive(self) -> None:
        got = self.socket.recv(1 << 20)
        if not got:
            raise ConnectionError("the broker closed the connection")
        self._protocol.receive_data(got)
        if self._protocol.versions is None:
            self._protocol.next_response()
            for chunk in self._protocol.take_outgoing():
                self.socket.sendall(chunk)  # type: ignore[arg-type]


def connect_when_up(bootstrap: str, deadline: float) -> Connection:
    """Connect as soon as the listener is there; `deadline` is a time.monotonic() value."""
    while True:
        try:
            return Connection(bootstrap)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)


def produce_frame(topic: str, batch: bytes, *, partition: int = 0) -> bytes:
    return produce.produce_frame(topic, partition, batch)


def produce_error(connection: Connection, size: int, topic: str) -> ErrorCode:
    """The error code in the last answer, which is one to `produce_frame`."""
    at = produce.produce_error_at(topic)
    return ErrorCode(int.from_bytes(connection.answer(size)[at : at + 2], "big", signed=True))


def check_produced(connection: Connection, size: int, topic: str) -> None:
    """A refusal is quicker than the work: fail where a loop would measure one."""
    code = produce_error(connection, size, topic)
    if code != ErrorCode.NONE:
        raise RuntimeError(f"produce to {topic} is refused: {code.name}")


def fetch_request(topic: str, offset: int, *, max_wait_ms: int = 500, min_bytes: int = 1) -> FetchRequest:
    partition = FetchRequest.FetchPartition(fetch_offset=offset, partition_max_bytes=FETCH_BYTES)
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=FETCH_BYTES,
        topics=[FetchRequest.FetchTopic(topic=topic, partitions=[partition])],
    )


def fetch_all(connections: Sequence[Connection], frames: Sequence[bytes]) -> int:
    """Send every frame once, one at a time per connection, and discard the answers; returns their bytes."""
    waiting = iter(frames)
    by_descriptor = {connection.socket.fileno(): connection.socket for connection in connections}
    left: dict[int, int] = {}  # bytes of the current answer still to come; -1 before its size is known
    poller = select.poll()
    for descriptor, frame_bytes in zip(by_descriptor, waiting, strict=False):
        poller.register(descriptor, select.POLLIN)
        by_descriptor[descriptor].sendall(frame_bytes)
        left[descriptor] = -1
    buffer = memoryview(bytearray(FETCH_BYTES))
    received = 0
    while left:
        for descriptor, _ in poller.poll():
            connection = by_descriptor[descriptor]
            got = connection.recv_into(buffer)
            if got == 0:
                raise ConnectionError("the broker closed the connection")
            received += got
            missing = left[descriptor]
            if missing < 0:
                if got < 4:
                    raise AssertionError("an answer came in very small pieces")
                missing = 4 + int.from_bytes(buffer[:4], "big")
            left[descriptor] = missing - got
            if missing == got:
                following = next(waiting, None)
                if following is None:
                    del left[descriptor]
                else:
                    connection.sendall(following)
                    left[descriptor] = -1
    return received


def next_offset(records: memoryview) -> int:
    """Where the next fetch begins after one that brought `records`."""
    position = 0
    following = -1
    while position + HEADER_SIZE <= len(records):
        header = read_header(records, position)
        if position + header.size_bytes > len(records):
            break
        following = header.last_offset + 1
        position += header.size_bytes
    assert following >= 0, "an answer without a whole batch"
    return following


def create_topic(
    connection: Connection, topic: str, configs: dict[str, str] | None = None, partitions: int = 1
) -> None:
    """Create a topic and return when it takes writes."""
    settings = [
        CreateTopicsRequest.CreatableTopicConfig(name=name, value=value)
        for name, value in (configs or {}).items()
    ]
    creatable = CreateTopicsRequest.CreatableTopic(
        name=topic, num_partitions=partitions, replication_factor=1, configs=settings
    )
    response = connection.call(CreateTopicsRequest(topics=[creatable], timeout_ms=30_000))
    code = response.topics[0].error_code
    if code != ErrorCode.NONE:
        raise RuntimeError(f"cannot create {topic}: {ErrorCode(code).name}")
    while -1 in end_offsets(connection, topic, partitions):
        time.sleep(0.001)


def delete_topic(connection: Connection, topic: str) -> None:
    request = DeleteTopicsRequest(
        topics=[DeleteTopicsRequest.DeleteTopicState(name=topic)], timeout_ms=30_000
    )
    connection.call(request)


def end_offset(connection: Connection, topic: str) -> int:
    """The high watermark of partition 0, -1 while the broker does not lead it yet."""
    return end_offsets(connection, topic, 1)[0]


def end_offsets(connection: Connection, topic: str, partitions: int) -> list[int]:
    """High watermarks by partition."""
    wanted = [
        ListOffsetsRequest.ListOffsetsPartition(partition_index=index, timestamp=-1)
        for index in range(partitions)
    ]
    topics = [ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=wanted)]
    found = connection.call(ListOffsetsRequest(topics=topics)).topics[0].partitions
    ends = {each.partition_index: each.offset for each in found if each.error_code == ErrorCode.NONE}
    return [ends.get(index, -1) for index in range(partitions)]

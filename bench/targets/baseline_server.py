"""What a broker cannot go below: a server that does nothing but the unavoidable.

    python -m bench.targets.baseline_server --mode null                   answers Produce at once and stores nothing
    python -m bench.targets.baseline_server --mode floor --file PATH      also checks CRC-32C and writes the batch
    python -m bench.targets.baseline_server --mode sendfile --file PATH   answers Fetch with a region of the file
    python -m bench.targets.baseline_server --mode echo                   answers any frame with a fixed one

It prints `port=N`. One thread, epoll, blocking nothing: per readable socket one epoll wait, one recv_into, then
per request the work of its mode and one send. `null` and `floor` speak enough of the protocol for the standard
clients to produce to them: ApiVersions, Metadata (every topic exists, one partition), InitProducerId, Produce
with one partition per request. No state, no checks: a measuring stick, never a broker.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

import crc32c

from protocol.codec import decode, encode_bytes
from protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from protocol.messages.fetch import FetchResponse
from protocol.messages.init_producer_id import InitProducerIdResponse
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.produce import ProduceResponse

PRODUCE: Final = 0
FETCH: Final = 1
METADATA: Final = 3
API_VERSIONS: Final = 18
INIT_PRODUCER_ID: Final = 22
VERSIONS: Final = {
    PRODUCE: (3, 12),
    FETCH: (4, 12),  # librdkafka takes a broker without it for one that knows old batches only
    METADATA: (9, 12),
    API_VERSIONS: (0, 4),
    INIT_PRODUCER_ID: (2, 5),
}
FLEXIBLE_PRODUCE: Final = 9
SENDFILE_BYTES: Final = 1 << 20
_TAIL: Final = bytes(3)  # the tag buffers that follow the records
_BUFFER: Final = 1 << 21
_ECHO_ANSWER: Final = (60).to_bytes(4, "big") + bytes(60)  # the size of an answer to Produce
_HEAD: Final = struct.Struct(">hhi")  # api key, version, correlation id
_SIZE: Final = struct.Struct(">i")
_FETCH_OFFSET: Final = struct.Struct(">q")


class Session:
    """One connection: what has arrived and is not yet a whole frame, and what is still to be sent from the file."""

    __slots__ = ("buffer", "filled", "position", "produce_answer", "socket", "to_send", "view")

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 102_400)  # as Kafka and logd: it matters
        self.socket = accepted
        self.buffer = bytearray(_BUFFER)
        self.view = memoryview(self.buffer)
        self.filled = 0
        self.position = 0
        self.to_send = 0
        self.produce_answer: tuple[bytes, bytes] | None = None
        """(size, what follows the correlation id): a client of the benchmark produces to one topic."""


class Server:
    def __init__(self, mode: str, path: str | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._sessions: dict[int, Session] = {}
        flags = os.O_RDONLY if mode == "sendfile" else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self._file = -1 if path is None else os.open(path, flags, 0o644)
        self._handle: Callable[[Session, int, int], None] = {
            "null": self._answer_only,
            "floor": self._check_and_write,
            "sendfile": self._send_region,
            "echo": self._echo,
        }[mode]
        self._region_head = _region_head()

    def serve(self) -> None:
        self._listener.setblocking(False)
        self._epoll.register(self._listener, select.EPOLLIN)
        listener = self._listener.fileno()
        sessions = self._sessions
        poll = self._epoll.poll
        while True:
            for descriptor, events in poll():
                if descriptor == listener:
                    self._accept()
                elif events & select.EPOLLOUT:
                    self._continue_sending(sessions[descriptor])
                else:
                    self._receive(sessions[descriptor])

    def _accept(self) -> None:
        session = Session(self._listener.accept()[0])
        self._sessions[session.socket.fileno()] = session
        self._epoll.register(session.socket, select.EPOLLIN)

    def _close(self, session: Session) -> None:
        self._epoll.unregister(session.socket)
        del self._sessions[session.socket.fileno()]
        session.socket.close()

    def _receive(self, session: Session) -> None:
        view = session.view
        try:
            got = session.socket.recv_into(view[session.filled :])
        except ConnectionError:
            got = 0
        if got == 0:
            self._close(session)
            return
        filled = session.filled + got
        position = 0
        while filled - position >= 4:
            (size,) = _SIZE.unpack_from(view, position)
            end = position + 4 + size
            if end > filled:
                break
            self._handle(session, position + 4, end)
            position = end
        left = filled - position
        if position and left:
            view[:left] = view[position:filled]
        session.filled = left

    # The modes: `start` and `end` bound the request, without its size, in the session's buffer.

    def _echo(self, session: Session, start: int, end: int) -> None:
        session.socket.send(_ECHO_ANSWER)

    def _answer_only(self, session: Session, start: int, end: int) -> None:
        key, version, correlation_id = _HEAD.unpack_from(session.view, start)
        if key != PRODUCE:
            self._answer_other(session, start, end)
            return
        self._answer_produce(session, version, correlation_id, start)

    def _check_and_write(self, session: Session, start: int, end: int) -> None:
        key, version, correlation_id = _HEAD.unpack_from(session.view, start)
        if key != PRODUCE:
            self._answer_other(session, start, end)
            return
        batch = session.view[_records_at(session.buffer, start) : end - 3]  # three empty tag buffers follow
        if crc32c.crc32c(batch[21:]) != int.from_bytes(batch[17:21], "big"):
            raise AssertionError("bad checksum")
        os.write(self._file, batch)
        self._answer_produce(session, version, correlation_id, start)

    def _answer_produce(self, session: Session, version: int, correlation_id: int, start: int) -> None:
        if session.produce_answer is None:
            session.produce_answer = _produce_answer(session.buffer, start, version)
        size, body = session.produce_answer
        session.socket.send(size + correlation_id.to_bytes(4, "big") + body)

    def _send_region(self, session: Session, start: int, end: int) -> None:
        """The request's fetch offset is the position in the file."""
        correlation_id = session.view[start + 4 : start + 8]
        (session.position,) = _FETCH_OFFSET.unpack_from(session.view, start + _FETCH_OFFSET_AT)
        session.to_send = SENDFILE_BYTES + len(_TAIL)
        size, body = self._region_head
        session.socket.send(size + correlation_id + body)
        self._send_file(session)
        if session.to_send:
            self._epoll.modify(session.socket, select.EPOLLOUT)

    def _continue_sending(self, session: Session) -> None:
        self._send_file(session)
        if not session.to_send:
            self._epoll.modify(session.socket, select.EPOLLIN)

    def _send_file(self, session: Session) -> None:
        try:
            while session.to_send > len(_TAIL):
                left = session.to_send - len(_TAIL)
                sent = os.sendfile(session.socket.fileno(), self._file, session.position, left)
                session.position += sent
                session.to_send -= sent
            if session.to_send:
                session.socket.send(_TAIL)
                session.to_send = 0
        except BlockingIOError:
            return

    def _answer_other(self, session: Session, start: int, end: int) -> None:
        key, version, correlation_id = _HEAD.unpack_from(session.view, start)
        body_at = _body_at(session.buffer, start)
        body = session.view[body_at:end]
        tags = b"\x00"
        if key == API_VERSIONS:
            tags = b""
            answer = self._api_versions(version)
        elif key == METADATA:
            answer = encode_bytes(self._metadata(decode(MetadataRequest, version, body)), version)
        elif key == INIT_PRODUCER_ID:
            answer = encode_bytes(InitProducerIdResponse(producer_id=1, producer_epoch=0), version)
        else:
            raise AssertionError(f"API key {key} is not part of the benchmark")
        head = _SIZE.pack(4 + len(tags) + len(answer)) + _SIZE.pack(correlation_id) + tags
        session.socket.send(head + answer)

    @staticmethod
    def _api_versions(version: int) -> bytes:
        keys = [
            ApiVersionsResponse.ApiVersion(api_key=key, min_version=first, max_version=last)
            for key, (first, last) in VERSIONS.items()
        ]
        if version > VERSIONS[API_VERSIONS][1]:
            own = [each for each in keys if each.api_key == API_VERSIONS]
            return encode_bytes(ApiVersionsResponse(error_code=35, api_keys=own), 0)
        return encode_bytes(ApiVersionsResponse(api_keys=keys), min(version, ApiVersionsRequest.VERSIONS[1]))

    def _metadata(self, request: MetadataRequest) -> MetadataResponse:
        partition = MetadataResponse.MetadataResponsePartition(
            leader_id=1, leader_epoch=0, replica_nodes=[1], isr_nodes=[1]
        )
        topics = [
            MetadataResponse.MetadataResponseTopic(
                name=topic.name, topic_id=b"\x00" * 15 + b"\x01", partitions=[partition]
            )
            for topic in request.topics or ()
        ]
        broker = MetadataResponse.MetadataResponseBroker(node_id=1, host="127.0.0.1", port=self.port)
        return MetadataResponse(brokers=[broker], cluster_id="baseline", controller_id=1, topics=topics)


def _body_at(buffer: bytearray, start: int) -> int:
    """Where the body of a request begins, all headers here being flexible with no tags, but ApiVersions 0-2."""
    name_size = int.from_bytes(buffer[start + 8 : start + 10], "big", signed=True)
    return start + 10 + max(name_size, 0) + 1


def _records_at(buffer: bytearray, start: int) -> int:
    """Where the batch begins in a flexible Produce request for one partition."""
    at = _body_at(buffer, start)
    at += max(buffer[at] - 1, 0) + 1  # transactional id
    at += 2 + 4 + 1  # acks, timeout, number of topics
    at += buffer[at]  # topic name: length + 1, then the name
    at += 1 + 4  # number of partitions, index
    while buffer[at] & 0x80:  # size of the records
        at += 1
    return at + 1


def _produce_answer(buffer: bytearray, start: int, version: int) -> tuple[bytes, bytes]:
    """(size, what follows the correlation id) for the topic that a first request names."""
    if version < FLEXIBLE_PRODUCE:
        raise AssertionError(f"Produce version {version}: the clients of the benchmark speak 9 and later")
    at = _body_at(buffer, start)
    at += max(buffer[at] - 1, 0) + 1 + 2 + 4 + 1
    name = buffer[at + 1 : at + buffer[at]].decode()
    partition = ProduceResponse.PartitionProduceResponse(log_append_time_ms=-1, log_start_offset=0)
    topic = ProduceResponse.TopicProduceResponse(name=name, partition_responses=[partition])
    body = b"\x00" + encode_bytes(ProduceResponse(responses=[topic]), version)
    return _SIZE.pack(4 + len(body)), body


FETCH_TOPIC: Final = "floor"
_FETCH_VERSION: Final = 12


def _fetch_offset_at() -> int:
    """Where the fetch offset stands in the frames of bench.clients.wire, its size field left out."""
    from bench.clients.wire import fetch_request, frame  # noqa: PLC0415 - only to find the place

    marked = frame(fetch_request(FETCH_TOPIC, 0x0123456789ABCDEF), _FETCH_VERSION)
    return marked.index(bytes.fromhex("0123456789abcdef")) - 4


_FETCH_OFFSET_AT: Final = _fetch_offset_at()


def _region_head() -> tuple[bytes, bytes]:
    """(size, what stands between the correlation id and the records) of an answer with one full region."""
    partition = FetchResponse.PartitionData(high_watermark=1 << 40, records=b"\x00" * SENDFILE_BYTES)
    topic = FetchResponse.FetchableTopicResponse(topic=FETCH_TOPIC, partitions=[partition])
    body = b"\x00" + encode_bytes(FetchResponse(responses=[topic]), _FETCH_VERSION)
    return _SIZE.pack(4 + len(body)), body[: len(body) - SENDFILE_BYTES - 3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mode", choices=["null", "floor", "sendfile", "echo"], required=True)
    parser.add_argument("--file", help="what floor writes and sendfile sends")
    options = parser.parse_args()
    server = Server(options.mode, options.file)
    print(f"port={server.port}", flush=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()

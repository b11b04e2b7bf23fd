"""Goal: the loop sends what it should, counts everybody, and ends in one clear line when it cannot go on.

Method: real sockets to a small server that answers Produce and ApiVersions, stalls, refuses, dribbles or hangs up.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from logd.load import run as run_module
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.failures import LoadFailed
from logd.load.frames import PRODUCE_VERSION
from logd.load.pace import FixedRate, Pace, Saturating
from logd.load.produce import ProduceConversation
from logd.load.run import Figures, Run
from protocol.codec import encode_bytes
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.produce import ProduceResponse

_PRODUCE = 0

Answer = Callable[[int], bytes | None]
"""What the request with this number, counted over all connections, is answered with; None: hang up."""


def _acknowledged(code: int = 0) -> bytes:
    row = ProduceResponse.PartitionProduceResponse(index=0, error_code=code, base_offset=5)
    topic = ProduceResponse.TopicProduceResponse(name="t", partition_responses=[row])
    body = bytes(5) + encode_bytes(ProduceResponse(responses=[topic]), PRODUCE_VERSION)
    return len(body).to_bytes(4, "big") + body


class _Server:
    """One thread per connection; `answer` runs in it."""

    def __init__(self, answer: Answer, acks: int) -> None:
        self.requests = 0
        self._answer = answer
        self._acks = acks
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(ConnectionError), peer, peer.makefile("rb") as stream:
            while head := stream.read(4):
                request = stream.read(int.from_bytes(head, "big"))
                (key,) = struct.unpack_from(">h", request)
                if key != _PRODUCE:
                    peer.sendall((4).to_bytes(4, "big") + bytes(4))
                    continue
                with self._lock:
                    number = self.requests
                    self.requests += 1
                answer = self._answer(number)
                if answer is None:
                    return
                if self._acks:
                    peer.sendall(answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)


@contextmanager
def _served(answer: Answer, acks: int = -1) -> Iterator[_Server]:
    server = _Server(answer, acks)
    try:
        yield server
    finally:
        server.close()


def _load(
    server: _Server,
    pace: Pace,
    seconds: float | None,
    *,
    connections: int = 2,
    room: int = 5,
    acks: int = -1,
    timeout_s: float = 20,
    warm_up_s: float = 0,
    progress: Callable[[Run], None] | None = None,
) -> Figures:
    tally = Tally()
    batch = batch_of(2, 100)
    routes = [
        (server.address, ProduceConversation("t", [0], batch, tally, acks=acks, room=room))
        for _ in range(connections)
    ]
    run = Run(routes, pace, tally, timeout_s=timeout_s)
    try:
        return run.go(seconds, warm_up_s=warm_up_s, progress=progress)
    finally:
        run.close()


@pytest.mark.parametrize("acks", [-1, 1, 0])
def test_every_request_is_counted(acks: int) -> None:
    with _served(lambda number: _acknowledged(), acks) as server:
        figures = _load(server, Saturating(1000), None, acks=acks)
    assert server.requests == figures.requests == 1000
    assert (figures.records, figures.payload_bytes) == (2000, 200_000)
    assert figures.unsent == 0 and not figures.interrupted
    assert 0 < figures.latency.percentile(50) <= figures.latency.highest <= figures.seconds * 1e9


def test_saturating_lasts_as_long_as_was_asked() -> None:
    with _served(lambda number: _acknowledged()) as server:
        figures = _load(server, Saturating(), 1, warm_up_s=0.5)
    assert figures.seconds >= 1
    assert 0 < figures.requests < server.requests  # those of the warm-up are not counted
    assert figures.records == 2 * figures.requests


def test_a_stall_of_a_second_shows_in_the_percentiles_of_a_fixed_rate() -> None:
    """Of 600 requests 200 were due in the stall, whoever is in flight. Only lower bounds: the machine may be busy."""
    stalled = threading.Event()

    def answer(number: int) -> bytes:
        if number >= 200 and not stalled.is_set():
            stalled.set()
            time.sleep(1)
        return _acknowledged()

    with _served(answer) as server:
        figures = _load(server, FixedRate(200), 3, connections=1, room=1)
    assert figures.requests + figures.unsent == figures.latency.count == 600
    assert figures.latency.highest >= 1e9
    assert figures.latency.percentile(99) >= 0.95e9
    assert figures.latency.percentile(85) >= 0.5e9
    assert figures.late.percentile(99) >= 0.9e9


@pytest.mark.parametrize("select_below", [0, 1 << 30])
def test_requests_leave_when_they_are_due(select_below: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the descriptor is too large for `select`: 300 a second are further apart than epoll's millisecond."""
    monkeypatch.setattr(run_module, "_SELECT_BELOW", select_below)
    with _served(lambda number: _acknowledged()) as server:
        figures = _load(server, FixedRate(300), 0.5)
    assert figures.requests + figures.unsent == figures.latency.count == 150
    assert figures.late.lowest < 1_000_000  # of 150 at least one was not held up by other work on the machine


def test_a_rate_that_is_too_high_is_told_and_ends_in_time() -> None:
    def answer(number: int) -> bytes:
        time.sleep(0.01)
        return _acknowledged()

    with _served(answer) as server:
        figures = _load(server, FixedRate(1_000_000), 0.5, connections=1, room=2)
    assert figures.requests + figures.unsent == 500_000
    assert server.requests == figures.requests < 100
    assert figures.latency.percentile(50) >= 0.2e9
    assert figures.seconds < 10


def test_answers_in_small_pieces() -> None:
    """One byte at a time, the end of one with the beginning of the next."""
    stream = _acknowledged() * 30

    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            peer.recv(1 << 20)
            for at in range(0, len(stream), 7):
                peer.sendall(stream[at : at + 7])
                time.sleep(0.0002)
            while peer.recv(1 << 20):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        tally = Tally()
        conversation = ProduceConversation("t", [0], batch_of(1, 10), tally, room=30)
        run = Run([(listener.getsockname(), conversation)], Saturating(30), tally, timeout_s=20)
        try:
            assert run.go(None).requests == 30
        finally:
            run.close()
            thread.join(20)
    assert conversation.last_offset == 5


@pytest.mark.parametrize("acks", [-1, 0])
def test_a_closed_connection_is_one_line(acks: int) -> None:
    with (
        _served(lambda number: _acknowledged() if number < 50 else None, acks) as server,
        pytest.raises(LoadFailed) as failed,
    ):
        _load(server, Saturating(), 20, acks=acks)
    text = str(failed.value)
    assert text.startswith(f"the broker at 127.0.0.1:{server.address[1]} closed the connection")
    assert ("acks=0" in text) == (acks == 0)
    assert "\n" not in text


def test_a_refused_request_ends_the_run_with_its_error() -> None:
    refused = _acknowledged(ErrorCode.NOT_ENOUGH_REPLICAS)
    with (
        _served(lambda number: refused if number == 70 else _acknowledged()) as server,
        pytest.raises(BrokerError, match=r"produce to t \[0\] was refused") as failed,
    ):
        _load(server, Saturating(), 20)
    assert failed.value.code == ErrorCode.NOT_ENOUGH_REPLICAS


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x7f\xff\xff\xffHTTP", "is not a Kafka broker"),
        (b"\x00\x00\x00\x05\x00\x00\x00\x00\x00", "cannot be read"),
    ],
)
def test_nonsense_is_one_line(answer: bytes, words: str) -> None:
    with _served(lambda number: answer) as server, pytest.raises(LoadFailed, match=words):
        _load(server, Saturating(), 20)


def test_a_broker_that_is_silent() -> None:
    released = threading.Event()

    def answer(number: int) -> bytes:
        if number >= 20:
            released.wait(20)
        return _acknowledged()

    with _served(answer) as server:
        with pytest.raises(LoadFailed, match=r"no answer from 127.0.0.1:\d+ within 0.3 s"):
            _load(server, Saturating(), 20, timeout_s=0.3)
        released.set()


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets it
        address = taken.getsockname()
        conversation = ProduceConversation("t", [0], batch_of(1, 1), Tally())
        with pytest.raises(
            LoadFailed, match=rf"cannot connect to 127.0.0.1:{address[1]}: Connection refused"
        ):
            Run([(address, conversation)], Saturating(), Tally())


def test_a_run_that_is_stopped_has_the_figures_so_far() -> None:
    def stop(run: Run) -> None:
        run.stopped = run.figures().requests >= 10

    with _served(lambda number: _acknowledged()) as server:
        figures = _load(server, Saturating(), 60, progress=stop)
    assert figures.interrupted
    assert figures.requests == server.requests >= 10
    assert figures.seconds < 30


def test_broker_time_is_taken_over_what_is_measured() -> None:
    readings = iter([10.0, 12.5])
    with _served(lambda number: _acknowledged()) as server:
        tally = Tally()
        conversation = ProduceConversation("t", [0], batch_of(1, 10), tally)
        run = Run([(server.address, conversation)], Saturating(), tally, cpu=lambda: next(readings))
        try:
            assert run.go(0.2, warm_up_s=0.2).cpu_s == 2.5
        finally:
            run.close()

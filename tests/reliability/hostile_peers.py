"""Connections that send hostile frames and hold the broker to its word: each is answered, or the connection ends.

Responses come in the order of the requests, so the correlation ids that arrive must be those that were sent, in that
order; only a produce request may be passed over, since acks=0 has no answer. What was behind a frame that ended its
connection is sent again on the next one.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from tests.reliability.hostile_frames import PRODUCE, After, Frame, FrameMaker

GROUP: Final = 24
"""Frames sent before the first answer is waited for."""
SILENCE_MAX_S: Final = 20.0
"""Longest wait for an answer; far above what any machine needs."""

_PROBE_ID: Final = -77
#: ApiVersions version 0: a question that is always answered, behind those that may not be.
_PROBE: Final = struct.pack(">ihhih", 10, 18, 0, _PROBE_ID, -1)


class Unanswered(AssertionError):
    """The broker kept a connection open and did not answer, or answered what was not asked."""


class HostilePeer:
    """One connection at a time; groups of frames go out, and what comes back is checked."""

    def __init__(self, address: tuple[str, int], outcomes: Counter[str]) -> None:
        self._address = address
        self._outcomes = outcomes
        self._backlog: deque[Frame] = deque()
        self._sent: list[Frame] = []
        self._half_close = False
        self._sock: socket.socket | None = None

    def send(self, frames: Iterator[Frame]) -> None:
        """Send a group, taken from what is left of the last one first."""
        if self._sock is None:
            self._sock = socket.create_connection(self._address, timeout=SILENCE_MAX_S)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = []
        while len(self._sent) < GROUP:
            frame = self._backlog.popleft() if self._backlog else next(frames, None)
            if frame is None:
                break
            self._sent.append(frame)
            if frame.after is After.HALF_CLOSE:
                break
        self._half_close = bool(self._sent) and self._sent[-1].after is After.HALF_CLOSE
        parts = [frame.data for frame in self._sent]
        parts.insert(len(parts) - self._half_close, _PROBE)
        # It may hang up on one of them; what it said before is still to be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._sock.sendall(b"".join(parts))

    def settle(self) -> int:
        """Read the answers to the group; return how many of its frames the broker is done with."""
        assert self._sock is not None
        due = deque(self._sent)
        last = due.pop() if self._half_close else None
        for correlation_id in self._responses():
            if correlation_id == _PROBE_ID:
                while due:
                    self._pass_over(due.popleft(), correlation_id)
                return len(self._sent) if last is None else self._end_with(last)
            while due and due[0].correlation_id != correlation_id:
                self._pass_over(due.popleft(), correlation_id)
            if not due:
                raise Unanswered(f"a response {correlation_id} to nothing in {self._sent}")
            due.popleft()
            self._outcomes["answered"] += 1
        self._close()
        if last is not None:
            due.append(last)
        if due:
            self._outcomes["closed"] += 1
            due.popleft()
        self._backlog.extendleft(reversed(due))
        return len(self._sent) - len(due)

    def close(self) -> None:
        self._close()

    def _pass_over(self, frame: Frame, correlation_id: int) -> None:
        if frame.api_key != PRODUCE:
            raise Unanswered(f"{correlation_id} was answered before {frame.data.hex()}")
        self._outcomes["without answer"] += 1

    def _end_with(self, last: Frame) -> int:
        """The last frame leaves the broker waiting: leave, and see it do the same."""
        assert self._sock is not None
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        for _ in self._responses():
            pass  # a frame within the frame
        self._close()
        self._outcomes["left waiting"] += 1
        return len(self._sent)

    def _responses(self) -> Iterator[int]:
        """Correlation ids as they come, until the connection ends."""
        assert self._sock is not None
        received = bytearray()
        while True:
            while len(received) >= 4:
                size = int.from_bytes(received[:4], "big")
                if len(received) < 4 + size:
                    break
                yield int.from_bytes(received[4:8], "big", signed=True)
                del received[: 4 + size]
            try:
                data = self._sock.recv(1 << 20)
            except ConnectionResetError:
                return
            except TimeoutError:
                frames = " ".join(frame.data.hex() for frame in self._sent)
                raise Unanswered(f"no answer in {SILENCE_MAX_S} s: {frames}") from None
            if not data:
                return
            received += data

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


class SlowPeers:
    """Clients that announce much and send little, byte by byte, and never an end."""

    def __init__(self, address: tuple[str, int], source: random.Random, count: int) -> None:
        self._address = address
        self._random = source
        self._socks = [self._open() for _ in range(count)]

    def drip(self) -> None:
        """Send one more byte each; open anew what was closed."""
        for index, sock in enumerate(self._socks):
            try:
                sock.send(self._random.randbytes(1))
            except OSError:
                sock.close()
                self._socks[index] = self._open()

    def close(self) -> None:
        for sock in self._socks:
            sock.close()

    def _open(self) -> socket.socket:
        sock = socket.create_connection(self._address, timeout=SILENCE_MAX_S)
        announced = self._random.choice((100, 1 << 20, 100 << 20))
        sock.sendall(struct.pack(">i", announced) + b"\0" * self._random.randrange(90))
        return sock


def send_hostile(
    address: tuple[str, int], maker: FrameMaker, count: int, outcomes: Counter[str], *, peers: int = 6
) -> None:
    """Have `count` frames dealt with over several connections at once. Raises: Unanswered."""
    crowd = [HostilePeer(address, outcomes) for _ in range(peers)]
    done = 0

    def source() -> Iterator[Frame]:
        while True:
            yield maker.next()

    frames = source()
    try:
        while done < count:
            for peer in crowd:
                peer.send(frames)
            done += sum(peer.settle() for peer in crowd)
    finally:
        for peer in crowd:
            peer.close()

"""One client's socket on the event loop: receive, hand frames to the dispatcher, send what is ready.

It knows sockets and back-pressure, and nothing of what the bytes mean. Everything runs on the loop's thread.

Back-pressure: while a response does not fit into the socket's send buffer, or IN_FLIGHT_MAX requests wait for their
answers, nothing more is read from this client; the kernel's window then stops it.
One request at a time may hold those behind it back until it is worked off (`hold`).
Order: `protocol.connection.ResponseQueue` keeps responses in request order.
File regions go out by sendfile, the bytes before them with MSG_MORE so that both share packets.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from protocol.connection import Chunk, FrameReceiver, ResponseQueue, ResponseSlot
from protocol.errors import ProtocolViolation
from storage.region import FileRegion

if TYPE_CHECKING:
    from logd.delayed import DelayedRequest
    from logd.server import Server
    from logd.short_way import ShortWay

log = logging.getLogger("logd.connection")

#: Requests of one connection that may wait for their answers; standard clients keep 5 (producers) or fewer.
IN_FLIGHT_MAX: Final = 64

#: Ready bytes from which they are sent before the next request of the same receive is looked at.
SEND_FROM_BYTES: Final = 256 * 1024

#: What one connection may send in one turn of the loop, so that a fast consumer does not starve the others.
TURN_BYTES: Final = 4 * 1024 * 1024

#: Linux's flag for "more is coming"; elsewhere the send just is not delayed.
_MSG_MORE: Final = getattr(socket, "MSG_MORE", 0)


class Connection:
    """A connected client. `listener` and `peer` say where it came in and from which host."""

    __slots__ = (
        "_backlog",
        "_dispatch",
        "_draining",
        "_fd",
        "_held",
        "_processing",
        "_reading",
        "_receiver",
        "_region_sent",
        "_server",
        "_sock",
        "_writing",
        "accounted_bytes",
        "client_id",
        "client_id_bytes",
        "close_when_sent",
        "closed",
        "last_active",
        "listener",
        "peer",
        "responses",
        "shapes_learned",
        "short_way",
        "waiting",
    )

    def __init__(self, server: Server, sock: socket.socket, *, listener: str, peer: str) -> None:
        self._server = server
        self._sock = sock
        self._fd = sock.fileno()
        self._dispatch: Callable[[Connection, memoryview], None] = server.dispatch
        self._receiver = FrameReceiver(server.scratch, server.limits.request_bytes_max)
        self._reading = False
        self._writing = False
        self._processing = False
        self._draining = False
        self._held = False
        #: Complete frames may still lie in the receiver.
        self._backlog = False
        #: Bytes of the region at the head of `responses.ready` that are already sent.
        self._region_sent = 0
        self.responses = ResponseQueue()
        #: Parked requests of this client, to be forgotten when it leaves.
        self.waiting: set[DelayedRequest] = set()
        self.listener = listener
        self.peer = peer
        self.last_active = server.loop.time()
        self.closed = False
        #: The connection ends once every request in hand is answered and sent.
        self.close_when_sent = False
        #: Memory that the server's bound counts for this connection.
        self.accounted_bytes = 0
        #: The last request's client id, decoded once (the dispatcher's memo).
        self.client_id_bytes = b""
        self.client_id: str | None = None
        #: For requests like one that this client sent before (the dispatcher's memo).
        self.short_way: ShortWay | None = None
        self.shapes_learned = 0
        self.proceed()

    def __str__(self) -> str:
        return f"{self.peer} on {self.listener}"

    @property
    def idle(self) -> bool:
        """Nothing is asked and nothing is left to send."""
        return not self.responses and not self.responses.ready

    # Answers

    def respond(self, slot: ResponseSlot, chunks: Sequence[Chunk]) -> None:
        """Answer a request that took a slot; sends at once when its turn has come."""
        if self.closed:
            return
        if self.responses.fill(slot, chunks) and not self._processing:
            self.flush()
            if self._backlog:
                # Another connection's turn may be under way, and all share one receive buffer.
                self._server.loop.call_soon(self.proceed)
            else:
                self.proceed()

    # Receiving

    def _on_readable(self) -> None:
        if not self._may_read():
            self.pause_reading()
            return
        receiver = self._receiver
        try:
            count = self._sock.recv_into(receiver.room())
        except (BlockingIOError, InterruptedError):
            receiver.settle()
            return
        except OSError:
            count = 0
        if not count:
            self.close()
            return
        self.last_active = self._server.loop.time()
        receiver.received(count)
        self._process()

    def _process(self) -> None:
        """Hand the complete frames to the dispatcher, then send the answers together."""
        receiver, responses, dispatch = self._receiver, self.responses, self._dispatch
        self._processing = True
        self._backlog = False
        try:
            while (frame := receiver.next_frame()) is not None:
                dispatch(self, frame)
                if responses.ready_bytes > SEND_FROM_BYTES:
                    self.flush()
                if not self._may_read():
                    self._backlog = True
                    break
        except ProtocolViolation as violation:
            self.refuse(violation)
        except Exception:
            log.exception("closing connection peer=%s listener=%s", self.peer, self.listener)
            self.abort()
        self._processing = False
        if not self.closed:
            receiver.settle()
            if not receiver.held_bytes:
                self._backlog = False
            if (responses.ready or self.close_when_sent) and not self._writing:
                self.flush()
            if self._backlog and self._may_read():
                # The socket was full in the middle of the work and has room again: no event will tell of that.
                self._server.loop.call_soon(self.proceed)
        self._server.wake()  # also when this client is gone: others may wait for what it wrote
        if receiver.held_bytes != self.accounted_bytes:
            self._server.account(self, receiver.held_bytes)

    def refuse(self, violation: ProtocolViolation) -> None:
        """The peer does not speak the protocol: send what is ready, then close."""
        log.warning("closing connection peer=%s listener=%s reason=%s", self.peer, self.listener, violation)
        self.close_when_sent = True

    def _may_read(self) -> bool:
        return (
            not (self._writing or self.close_when_sent or self._held)
            and len(self.responses.waiting) < IN_FLIGHT_MAX
        )

    def hold(self) -> None:
        """Work off no further request until `release`: the one in hand is not done, and what comes behind it must not
        overtake it.
        """
        self._held = True

    def release(self) -> None:
        """Go on with what `hold` kept waiting, in a turn of its own."""
        self._held = False
        self._server.loop.call_soon(self.proceed)

    def proceed(self) -> None:
        """Take up what back-pressure held back, where it no longer does."""
        if self.closed or self._draining or not self._may_read():
            return
        if not self._reading:
            self._reading = True
            self._server.loop.add_reader(self._fd, self._on_readable)
        if self._backlog:
            self._receiver.reload()
            self._process()

    def pause_reading(self) -> None:
        """Read nothing more until `proceed`."""
        if self._reading:
            self._reading = False
            self._server.loop.remove_reader(self._fd)

    # Sending

    def flush(self) -> None:
        """Send what is ready, as far as the socket takes it; the rest follows when it is writable."""
        if self.closed:
            return
        try:
            done = self._send_ready()
        except (BlockingIOError, InterruptedError):
            done = False
        except OSError:
            self.close()
            return
        if not done:
            if not self._writing:
                self._writing = True
                self._server.loop.add_writer(self._fd, self._on_writable)
            return
        if self._writing:
            self._writing = False
            self._server.loop.remove_writer(self._fd)
        if self.close_when_sent and not self.responses:
            self.close()

    def _on_writable(self) -> None:
        self.flush()
        if not self._writing:
            self.proceed()

    def _send_ready(self) -> bool:
        """True when nothing is left. Raises BlockingIOError when the socket is full."""
        responses = self.responses
        ready = responses.ready
        if len(ready) == 1 and type(head := ready[0]) is not FileRegion:  # one answer: the most frequent case
            sent = self._sock.send(head)
            responses.ready_bytes -= sent
            if sent < len(head):
                ready[0] = memoryview(head)[sent:]
                return False
            ready.clear()
            return True
        budget = TURN_BYTES
        is_full = False
        while ready and budget > 0 and not is_full:
            head = ready[0]
            if type(head) is FileRegion:
                size = min(head.size - self._region_sent, budget)
                sent = self._send_region(head, size)
                is_full = sent < size  # to hear so from another call costs more than this one told already
            else:
                sent = self._send_bytes(head)
            responses.ready_bytes -= sent
            budget -= sent
        return not ready

    def _send_region(self, region: FileRegion, size: int) -> int:
        """Send `size` bytes of the region from where the last call ended, or as many as the socket takes."""
        done = self._region_sent
        position = region.position + done
        source = region.file.fileno()
        if source >= 0:
            sent = os.sendfile(self._fd, source, position, size)
        else:  # a file of a file system in memory
            sent = self._sock.send(region.file.read_at(position, size))
        if not sent:
            raise ConnectionAbortedError("the file ends before its region does")
        done += sent
        if done == region.size:
            self.responses.ready.popleft()
            done = 0
        self._region_sent = done
        return sent

    def _send_bytes(self, head: Chunk) -> int:
        """Send the run of byte chunks that starts with `head` in one call."""
        ready = self.responses.ready
        count, run_length = len(ready), 1
        if count > 1 and type(ready[1]) is not FileRegion:
            run = list(takewhile(_is_bytes, ready))
            run_length = len(run)
            head = b"".join(run)
        sent = self._sock.send(head, _MSG_MORE if run_length < count else 0)
        for _ in range(run_length):
            ready.popleft()
        if sent < len(head):
            ready.appendleft(memoryview(head)[sent:])
        return sent

    # End

    def drain(self) -> None:
        """Take no further request; close once those in hand are answered."""
        self._draining = True
        self.pause_reading()
        self.close_when_sent = True
        self.flush()

    def abort(self) -> None:
        """Take no further request and close as soon as what is ready is sent, answered or not."""
        self._draining = True
        self.pause_reading()
        self.flush()
        self.close()

    def close(self) -> None:
        """End the connection now; what was not sent is dropped."""
        if self.closed:
            return
        self.closed = True
        self.pause_reading()
        if self._writing:
            self._writing = False
            self._server.loop.remove_writer(self._fd)
        self._receiver.close()
        self._sock.close()
        self._server.forget(self)
        self.responses.ready.clear()
        self.waiting.clear()


def _is_bytes(chunk: Chunk) -> bool:
    return type(chunk) is not FileRegion

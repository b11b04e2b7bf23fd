"""The broker's side of one client connection, without any IO.

Bytes come in through a receive buffer (`room` / `received`), complete request frames come out of `next_frame` in
place, and responses go back in request order whatever order they are finished in: a request that cannot be
answered at once takes a `ResponseSlot`, and everything behind it waits in the queue.

It does not read sockets or decode bodies: `logd.connection` moves the bytes, `logd.dispatch` reads them. Of the APIs
it knows that only Produce has a reason for large requests.

Frame: int32 size (bytes that follow) | body. A frame is a view into the receive buffer and is valid only until
`settle` is called; who needs it longer copies it.

Memory: buffers grow with bytes *received*, never with bytes announced. A connection between two frames holds none:
all connections of a loop share one scratch buffer. A connection with a large part of a frame in hand keeps the
scratch buffer it was received in (no copy) while such loans last, and otherwise a buffer of its own that doubles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from struct import Struct
from typing import Any, Final, TypeAlias

from protocol.errors import ProtocolViolation

#: Bytes-like, or any object with `__len__` (a file region) that the writer knows how to send.
Chunk: TypeAlias = Any

_SIZE: Final = Struct(">i")
_SIZE_AND_KEY: Final = Struct(">ih")
_PRODUCE: Final = 0

#: A larger request must carry records: every other body is read and answered item by item, in one turn of the loop.
PLAIN_REQUEST_BYTES_MAX: Final = 4 << 20

#: One receive call's worth: holds a default-size produce batch pipeline (5 × 16 KiB) or one 128 KiB batch whole.
SCRATCH_BYTES: Final = 256 * 1024

#: Below this a left-over is cheaper to copy out (about 1 µs) than a scratch buffer is to lend.
LEND_FROM_BYTES: Final = 16 * 1024

#: Loans out at one time; bounds what slow senders can pin at LOANS_MAX × SCRATCH_BYTES (4 MiB).
LOANS_MAX: Final = 16


class ScratchBuffers:
    """The receive buffers that the connections of one event loop share."""

    __slots__ = ("_free", "current", "loans")

    def __init__(self) -> None:
        #: Where the next receive goes, unless the connection has a buffer of its own.
        self.current = memoryview(bytearray(SCRATCH_BYTES))
        self.loans = 0
        self._free: list[memoryview] = []

    def lend(self) -> bool:
        """Let the caller keep `current` and put another in its place; False when too many are out."""
        if self.loans >= LOANS_MAX:
            return False
        self.loans += 1
        self.current = self._free.pop() if self._free else memoryview(bytearray(SCRATCH_BYTES))
        return True

    def give_back(self, buffer: memoryview) -> None:
        self.loans -= 1
        self._free.append(buffer)


class FrameReceiver:
    """Cuts the byte stream of one peer into frames, in place.

    State: bytes `start:end` of `view` are received and not yet taken. `view` is the scratch buffer while a receive
    is being worked off, a loan or an own buffer while a frame is incomplete, and None in between; start and end are 0
    then.
    """

    __slots__ = (
        "_end",
        "_lent",
        "_plain_frame_bytes_max",
        "_scratch",
        "_start",
        "_stash",
        "_view",
        "held_bytes",
        "max_frame_bytes",
    )

    def __init__(self, scratch: ScratchBuffers, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._plain_frame_bytes_max = min(max_frame_bytes, PLAIN_REQUEST_BYTES_MAX)
        self._scratch = scratch
        self._view: memoryview | None = None
        self._lent = False
        self._start = 0
        self._end = 0
        self._stash = b""
        #: Memory that this connection keeps between receives; as of the last `settle`.
        self.held_bytes = 0

    def room(self) -> memoryview:
        """Where the next bytes may be written; never empty. Call `received` with how many were."""
        view = self._view
        if view is None:
            view = self._view = self._scratch.current
            if not self._stash:
                return view
            self._end = len(self._stash)
            view[: self._end] = self._stash
            self._stash = b""
        return view[self._end :]

    def received(self, count: int) -> None:
        self._end += count

    def reload(self) -> None:
        """Make frames that `settle` put away available to `next_frame` again."""
        self.room()

    def receive_data(self, data: bytes) -> None:
        """Take bytes that are already in memory; a convenience over `room` and `received`.

        `data` must fit into `room()`: longer data is fed in parts, with `next_frame` and `settle` between them.
        """
        room = self.room()
        room[: len(data)] = data
        self.received(len(data))

    def next_frame(self) -> memoryview | None:
        """The body of the next complete frame, or None when more bytes are needed.

        Raises ProtocolViolation for a negative size, one above `max_frame_bytes`, and one above
        PLAIN_REQUEST_BYTES_MAX unless it is a Produce request; as soon as the first bytes say so.
        """
        start = self._start
        view = self._view
        if view is None or self._end - start < 4:
            return None
        size: int = _SIZE.unpack_from(view, start)[0]
        if size < 0 or size > self._plain_frame_bytes_max:
            self._judge_size(view, size)
        stop = start + 4 + size
        if stop > self._end:
            return None
        self._start = stop
        return view[start + 4 : stop]

    def _judge_size(self, view: memoryview, size: int) -> None:
        """Refuse a frame that is too large for anything, or for what it asks; more bytes may have to come first."""
        if size < 0 or size > self.max_frame_bytes:
            raise ProtocolViolation(f"frame of {size} bytes, at most {self.max_frame_bytes} are allowed")
        if self._end - self._start < _SIZE_AND_KEY.size:
            return
        key = _SIZE_AND_KEY.unpack_from(view, self._start)[1]
        if key != _PRODUCE:
            raise ProtocolViolation(
                f"request with API key {key} of {size} bytes, at most {PLAIN_REQUEST_BYTES_MAX} are allowed "
                "without records"
            )

    def settle(self) -> None:
        """Put what is left of the receive where it can stay until the next one. All frames given out end here."""
        view = self._view
        if view is None:
            return
        left = self._end - self._start
        if left == 0:
            if self._lent:
                self._release(view)
            else:
                self._view = None
                self._start = self._end = 0
            self.held_bytes = 0
        elif left < LEND_FROM_BYTES:
            self._stash = bytes(view[self._start : self._end])
            self._release(view)
            self.held_bytes = left
        else:
            self._keep(view, left)

    def close(self) -> None:
        """Give buffers back; the receiver is not used afterwards."""
        if self._view is not None:
            self._release(self._view)
        self._stash = b""
        self.held_bytes = 0

    def _keep(self, view: memoryview, left: int) -> None:
        """Hold a large left-over in the scratch buffer it came in, or in a buffer of this connection's own."""
        if view is self._scratch.current:
            self._lent = self._scratch.lend()
            if not self._lent:
                view = self._view = _grown(view[self._start : self._end], 2 * left)
                self._start, self._end = 0, left
        if len(view) - self._end < len(view) // 4:
            view = self._make_room(view, left)
        self.held_bytes = len(view)

    def _release(self, view: memoryview) -> None:
        if self._lent:
            self._scratch.give_back(view)
            self._lent = False
        self._view = None
        self._start = self._end = 0

    def _make_room(self, view: memoryview, left: int) -> memoryview:
        """Little room is left: move the left-over to the front, or into a buffer twice as large."""
        if self._start >= len(view) // 4:
            # bytes() because source and target overlap
            view[:left] = bytes(view[self._start : self._end])
        else:
            larger = _grown(view[self._start : self._end], 2 * len(view))
            self._release(view)
            view = self._view = larger
        self._start, self._end = 0, left
        return view


def _grown(content: memoryview, size: int) -> memoryview:
    larger = memoryview(bytearray(size))
    larger[: len(content)] = content
    return larger


class ResponseSlot:
    """The place in the response order of one request that is answered later."""

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        #: None until answered.
        self.chunks: Sequence[Chunk] | None = None


class ResponseQueue:
    """Responses of one connection in request order; its length is the number of requests still to be answered.

    `ready` holds chunks that may be written now; the writer takes them from the left and lowers `ready_bytes`.
    `waiting` holds the requests still to be answered, and is for looking at only.
    """

    __slots__ = ("ready", "ready_bytes", "waiting")

    def __init__(self) -> None:
        self.ready: deque[Chunk] = deque()
        self.ready_bytes = 0
        self.waiting: deque[ResponseSlot] = deque()

    def __len__(self) -> int:
        return len(self.waiting)

    def send(self, chunks: Sequence[Chunk]) -> None:
        """Answer the request just taken, at once."""
        if self.waiting:
            slot = ResponseSlot()
            slot.chunks = chunks
            self.waiting.append(slot)
        else:
            self._make_ready(chunks)

    def reserve(self) -> ResponseSlot:
        """Keep the place of the request just taken; `fill` answers it."""
        slot = ResponseSlot()
        self.waiting.append(slot)
        return slot

    def fill(self, slot: ResponseSlot, chunks: Sequence[Chunk]) -> bool:
        """Answer a reserved request. True when that made something ready to write."""
        assert slot.chunks is None, "a request is answered once"
        slot.chunks = chunks
        waiting = self.waiting
        if waiting[0] is not slot:
            return False
        while waiting and (filled := waiting[0].chunks) is not None:
            self._make_ready(filled)
            waiting.popleft()
        return True

    def _make_ready(self, chunks: Sequence[Chunk]) -> None:
        self.ready.extend(chunks)
        for chunk in chunks:
            self.ready_bytes += len(chunk)

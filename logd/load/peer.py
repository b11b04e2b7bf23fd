"""One connection of a load: a plain socket that never blocks, what is still to be sent, what is arriving."""

from __future__ import annotations

import socket
from struct import Struct

from logd.load.conversation import Conversation
from logd.load.failures import LoadFailed
from protocol.client import RESPONSE_BYTES_MAX

Address = tuple[str, int]

_SIZE = Struct(">i")
_BUFFER_BYTES = 64 * 1024
_PARTS_MAX = 64
"""In one call of sendmsg."""


class Peer:
    """Made connected. Not for several threads."""

    __slots__ = (
        "_buffer",
        "_filled",
        "_outgoing",
        "address",
        "conversation",
        "descriptor",
        "number",
        "socket",
    )

    def __init__(self, number: int, address: Address, conversation: Conversation, timeout_s: float) -> None:
        """Raises: LoadFailed."""
        self.number = number
        self.address = address
        self.conversation = conversation
        try:
            self.socket = socket.create_connection(address, timeout_s)
        except OSError as error:
            raise LoadFailed(f"cannot connect to {shown(address)}: {error.strerror or error}") from None
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.descriptor = self.socket.fileno()
        self._outgoing: list[bytes | bytearray | memoryview] = []
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._filled = 0

    def queue(self, frame: bytes | bytearray) -> None:
        """Something to send with the next `flush`."""
        self._outgoing.append(frame)

    def flush(self) -> int:
        """Send as much as the socket takes; how many frames have left with that. Raises: LoadFailed."""
        outgoing = self._outgoing
        left = 0
        try:
            while outgoing:
                sent = self.socket.sendmsg(outgoing[:_PARTS_MAX])
                while outgoing and sent >= len(outgoing[0]):
                    sent -= len(outgoing.pop(0))
                    left += 1
                if sent:
                    outgoing[0] = memoryview(outgoing[0])[sent:]
        except BlockingIOError:
            pass
        except OSError:
            raise self.closed() from None
        return left

    @property
    def is_sending(self) -> bool:
        """Whether something waits until the socket takes more."""
        return bool(self._outgoing)

    def receive(self) -> list[memoryview]:
        """The answers that are complete by now, without their sizes, dead with the next call. Raises: LoadFailed."""
        view = self._buffer
        try:
            got = self.socket.recv_into(view[self._filled :])
        except BlockingIOError:
            return []
        except OSError:
            got = 0
        if not got:
            raise self.closed()
        filled = self._filled + got
        answers = []
        at = 0
        while filled - at >= 4:
            (size,) = _SIZE.unpack_from(view, at)
            if not 4 <= size <= RESPONSE_BYTES_MAX:
                raise LoadFailed(f"what answers at {shown(self.address)} is not a Kafka broker")
            end = at + 4 + size
            if end > filled:
                break
            answers.append(view[at + 4 : end])
            at = end
        self._keep(at, filled)
        return answers

    def _keep(self, at: int, filled: int) -> None:
        """Move the beginning of an answer to the front of a buffer that has room for all of it."""
        view = self._buffer
        self._filled = filled - at
        wanted = 4 + _SIZE.unpack_from(view, at)[0] if self._filled >= 4 else 4
        if wanted > len(view):
            self._buffer = memoryview(bytearray(2 * wanted))
            self._buffer[: self._filled] = view[at:filled]
        elif at and self._filled:
            # The answers before it are still to be read: the rest goes into another buffer, not over them.
            self._buffer = memoryview(bytearray(len(view)))
            self._buffer[: self._filled] = view[at:filled]

    def closed(self) -> LoadFailed:
        hint = ""
        if not self.conversation.answers:
            hint = "; with acks=0 it does that when it refuses records"
        return LoadFailed(f"the broker at {shown(self.address)} closed the connection{hint}")

    def close(self) -> None:
        self.socket.close()


def shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

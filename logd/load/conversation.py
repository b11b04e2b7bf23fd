"""What a connection asks, and what it makes of the answers. One object for each connection."""

from __future__ import annotations

from typing import Protocol

from protocol.errors import BrokerError, ErrorCode


class Conversation(Protocol):
    room: int
    """How many requests may be in flight on the connection."""
    answers: bool
    """Whether requests are answered: produce requests with acks=0 are not."""

    def request(self) -> bytes | bytearray:
        """The next request, with its size. It stays as it is until it is sent."""

    def answered(self, answer: memoryview, since_ns: int | None, now_ns: int) -> None:
        """The answer to the oldest open request, without its size; a view that is dead afterwards.

        `since_ns`: from when its latency counts, None for warm-up. Raises: BrokerError for a refusal.
        """


class Tally:
    """What was moved by the requests that count."""

    __slots__ = ("payload_bytes", "records")

    def __init__(self) -> None:
        self.records = 0
        self.payload_bytes = 0

    def add(self, records: int, payload_bytes: int) -> None:
        self.records += records
        self.payload_bytes += payload_bytes


def refused(what: str, code: int, message: str | None = None) -> BrokerError:
    """The error that an answer carries, codes of later brokers included."""
    try:
        known = ErrorCode(code)
    except ValueError:
        known, message = ErrorCode.UNKNOWN_SERVER_ERROR, message or f"error code {code}"
    return BrokerError(known, f"{what} was refused: {message or known.text}")

"""The words that every package shares: identifiers, positions, times, and the buffers they travel in.

The integer names are aliases, so that a signature says which of many ints it means without a conversion on
the hot path. Offsets count records, positions count bytes: the two are never mixed.

A topic, member or directory id is 16 raw bytes on the wire and 16 raw `bytes` here; text form is the URL-safe
base64 without padding that Kafka's tools print (22 characters).
"""

from __future__ import annotations

from binascii import Error as _Base64Error
from binascii import a2b_base64, b2a_base64
from typing import NamedTuple, TypeAlias

Offset: TypeAlias = int
"""Number of a record within its partition (int64)."""
Position: TypeAlias = int
"""Byte place within a file or buffer; never called an offset."""
LeaderEpoch: TypeAlias = int
"""Term of the leader that wrote a batch (int32, -1 = unknown)."""
NodeId: TypeAlias = int
"""Id of a broker (int32, -1 = none)."""
ProducerId: TypeAlias = int
"""Id of an idempotent producer (int64, -1 = none)."""
ProducerEpoch: TypeAlias = int
"""Incarnation of a producer id (int16, -1 = none)."""
TimestampMs: TypeAlias = int
"""Milliseconds since the Unix epoch, UTC (int64, -1 = none)."""

Buffer: TypeAlias = bytes | bytearray | memoryview


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


UUID_SIZE = 16
ZERO_UUID = bytes(UUID_SIZE)
"""The id that means "no id"."""

UNASSIGNED_DIRECTORY = ZERO_UUID
"""As a replica's data directory: none was chosen yet (Kafka: DirectoryId)."""
LOST_DIRECTORY = bytes(UUID_SIZE - 1) + b"\x01"
"""As a replica's data directory: one that is not here, and that nobody knows by its id."""
MIGRATING_DIRECTORY = bytes(UUID_SIZE - 1) + b"\x02"
"""As a replica's data directory: some directory holds it, and which was not said yet."""

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = str.maketrans("-_", "+/", "+/=")


def uuid_to_str(uuid: bytes) -> str:
    """Return the 22-character text form of a 16-byte id."""
    if len(uuid) != UUID_SIZE:
        raise ValueError(f"an id has {UUID_SIZE} bytes, not {len(uuid)}")
    return b2a_base64(uuid, newline=False).translate(_TO_URL_SAFE)[:22].decode("ascii")


def uuid_from_str(text: str) -> bytes:
    """Return the 16 bytes of an id in text form.

    Raises: ValueError when `text` is not the form that `uuid_to_str` gives (padding is tolerated).
    """
    digits = text.rstrip("=")
    if len(digits) == 22 and digits.isascii():
        try:
            uuid = a2b_base64(digits.translate(_FROM_URL_SAFE) + "==")
        except _Base64Error:
            uuid = b""
        if len(uuid) == UUID_SIZE and uuid_to_str(uuid) == digits:
            return uuid
    raise ValueError(f"not an id: {text!r}")

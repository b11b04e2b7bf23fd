"""The port: records as plain values, and the calls that every standard client can make.

An adapter opens a fresh client for each call and closes it before returning: first contact is part of what is
tested, and no state leaks from one test into the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal, NamedTuple, Protocol

from tests.support.patience import PATIENCE_S

Acks = Literal["0", "1", "all"]
Codec = Literal["none", "gzip", "snappy", "lz4", "zstd"]
Isolation = Literal["read_uncommitted", "read_committed"]
Reset = Literal["earliest", "latest", "none"]
Headers = tuple[tuple[str, bytes | None], ...]

ACKS: tuple[Acks, ...] = ("0", "1", "all")
CODECS: tuple[Codec, ...] = ("none", "gzip", "snappy", "lz4", "zstd")


class Ability(Enum):
    """What a client may be unable to do. A scenario that needs it runs with the clients that can."""

    RESET_POLICY = "applies a reset policy to partitions that it was assigned"
    NULL_HEADERS = "sends and shows headers without a value"
    PARALLEL = "answers a second call while the first one waits"
    CLUSTER_ID = "shows the cluster's id"


class Message(NamedTuple):
    """What an application puts into a record."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers = ()


class Received(NamedTuple):
    """A record as a consumer saw it."""

    partition: int
    offset: int
    message: Message


class At(Enum):
    """Where a consumer begins to read."""

    EARLIEST = "earliest"
    LATEST = "latest"
    OFFSET = "offset"
    TIMESTAMP = "timestamp"
    RESET = "reset"  # no position of its own: auto.offset.reset decides


class Start(NamedTuple):
    at: At
    argument: int = 0


EARLIEST = Start(At.EARLIEST)
LATEST = Start(At.LATEST)
BY_RESET = Start(At.RESET)


def from_offset(offset: int) -> Start:
    return Start(At.OFFSET, offset)


def from_timestamp(timestamp_ms: int) -> Start:
    return Start(At.TIMESTAMP, timestamp_ms)


class ClientError(Exception):
    """A call failed; `name` is the Kafka error it reported, e.g. OFFSET_OUT_OF_RANGE."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


class TopicView(NamedTuple):
    partitions: tuple[int, ...]
    leaders: tuple[int, ...]


class ClusterView(NamedTuple):
    cluster_id: str | None
    nodes: tuple[tuple[int, str, int], ...]  # (node id, host, port)


class Client(Protocol):
    @property
    def name(self) -> str: ...

    def produce(
        self,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        acks: Acks = "all",
        codec: Codec = "none",
        idempotent: bool = False,
        max_request_size: int | None = None,
    ) -> list[int]:
        """Send, wait, return the offsets; offsets of acks=0 are whatever the client makes of no answer."""

    def consume(
        self,
        topic: str,
        count: int,
        *,
        start: Start = EARLIEST,
        partitions: Sequence[int] = (0,),
        isolation: Isolation = "read_uncommitted",
        reset: Reset = "none",
        timeout_s: float = PATIENCE_S,
    ) -> list[Received]:
        """Assign, position every partition, read until `count` records came or the time is up."""

    def offset_range(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """(log start offset, high watermark)."""

    def offset_for_time(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None: ...

    def create_topic(
        self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None
    ) -> None: ...

    def delete_topic(self, topic: str) -> None: ...

    def list_topics(self) -> set[str]: ...

    def describe_topic(self, topic: str) -> TopicView: ...

    def describe_cluster(self) -> ClusterView: ...

    def close(self) -> None: ...

"""The short way through Fetch: requests that differ from the last one only in where they read.

A consumer of one partition sends the same bytes again and again: header, limits, one topic, one partition. Only the
correlation id and the fetch offset change. `FetchShape.learn` remembers those bytes after the codec has read them
once; `recognise` then knows the next request by comparing, and `answer` fills what changes into a response that the
codec wrote once. What does not fit goes the ordinary way, so the codec stays the one that decides what a request
means: both ways are tested against each other.

    request   size | key, version | correlation id | client id … leader epoch | fetch offset | … rack id, tags
                     `_head`                         `_before`                                `_after`
    response  size | correlation id | 0 | … index, error | three offsets | aborted, replica | length | records | 0 0 0
                                          `_prefix`                        `_middle`                             `tail`

Only flexible versions.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from protocol.codec import decode, encode, encode_bytes
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.primitives import encode_uvarint
from protocol.shape_places import around_number, body_position
from protocol.types import Offset, Position

_FIRST_FLEXIBLE_VERSION: Final = 12
_HEAD_SIZE: Final = 4
_BEFORE_POSITION: Final = 8
_READ_COMMITTED: Final = 1

_OFFSET_SIZE: Final = 8
_THREE_OFFSETS_SIZE: Final = 24


class FetchShape:
    """What stays the same over the requests of one consumer for one partition."""

    __slots__ = (
        "_after",
        "_before",
        "_body",
        "_head",
        "_middle",
        "_pack_head",
        "_prefix",
        "_response_size",
        "_size",
        "_unpack",
        "current_leader_epoch",
        "index",
        "isolation_level",
        "max_bytes",
        "max_wait_ms",
        "may_wait",
        "min_bytes",
        "partition_bytes",
        "tail",
        "topic_id",
        "topic_name",
        "version",
    )

    def __init__(
        self, frame: memoryview, offset_position: Position, request: FetchRequest, version: int
    ) -> None:
        self._size = len(frame)
        self._head = bytes(frame[:_HEAD_SIZE])
        self._before = bytes(frame[_BEFORE_POSITION:offset_position])
        self._after = bytes(frame[offset_position + _OFFSET_SIZE :])
        self._body = encode_bytes(request, version)
        self._unpack = Struct(f">{_HEAD_SIZE}si{len(self._before)}sq{len(self._after)}s").unpack
        topic = request.topics[0]
        partition = topic.partitions[0]
        self.topic_name = topic.topic
        self.topic_id = topic.topic_id
        self.index = partition.partition
        self.current_leader_epoch = partition.current_leader_epoch
        self.isolation_level = request.isolation_level
        self.version = version
        self.min_bytes = min(request.min_bytes, request.max_bytes)
        self.max_wait_ms = request.max_wait_ms
        self.may_wait = request.max_wait_ms > 0 and self.min_bytes > 0
        """Whether it is to wait where nothing is there."""
        self.partition_bytes = partition.partition_max_bytes
        self.max_bytes = min(request.max_bytes, partition.partition_max_bytes)
        """Of the request and of its partition, whichever is less."""
        self._prefix, self._middle, self.tail = _response_around_offsets(self, version)
        head = Struct(f">iib{len(self._prefix)}sqqq{len(self._middle)}s")
        self._pack_head = head.pack
        self._response_size = head.size - 4 + len(self.tail)  # but for the records and their length

    @classmethod
    def learn(cls, frame: memoryview, request: FetchRequest, version: int) -> FetchShape | None:
        """Remember a request that the codec read from `frame`; None when it has not one partition of one topic."""
        if version < _FIRST_FLEXIBLE_VERSION or len(request.topics) != 1:
            return None
        if len(request.topics[0].partitions) != 1:
            return None
        offset_position = _offset_position(frame, request, version)
        return None if offset_position is None else cls(frame, offset_position, request, version)

    def recognise(self, frame: memoryview) -> tuple[int, Offset] | None:
        """Correlation id and fetch offset of a request of this shape; None when it is another one."""
        if len(frame) != self._size:
            return None
        head, correlation_id, before, offset, after = self._unpack(frame)
        if head != self._head or before != self._before or after != self._after:
            return None
        return correlation_id, offset

    def request(self, offset: Offset) -> FetchRequest:
        """The request of this shape from `offset` on, as the codec reads it."""
        request: FetchRequest = decode(FetchRequest, self.version, self._body)
        request.topics[0].partitions[0].fetch_offset = offset
        return request

    def answer(
        self,
        correlation_id: int,
        high_watermark: Offset,
        last_stable_offset: Offset,
        log_start_offset: Offset,
        records_size: int,
    ) -> bytes:
        """The framed response up to its records, of which there are some; behind them comes `tail`."""
        length = encode_uvarint(records_size + 1)
        head = self._pack_head(
            self._response_size + len(length) + records_size,
            correlation_id,
            0,
            self._prefix,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            self._middle,
        )
        return head + length


def _offset_position(frame: memoryview, request: FetchRequest, version: int) -> Position | None:
    """Where the fetch offset stands in the frame; None when the codec would write something else than is there."""
    body = body_position(frame)
    written = encode_bytes(request, version)
    if frame[body:] != written:
        return None
    alike = decode(FetchRequest, version, written)

    def write(offset: Offset) -> bytes:
        alike.topics[0].partitions[0].fetch_offset = offset
        return encode_bytes(alike, version)

    before, _ = around_number(write, _OFFSET_SIZE)
    return body + len(before)


def _response_around_offsets(shape: FetchShape, version: int) -> tuple[bytes, bytes, bytes]:
    """What the codec writes before the three offsets, between them and the length of the records, and behind those."""

    def write(offset: Offset) -> bytes:
        return _around_records(shape, version, offset)[0]

    before, behind = around_number(write, _THREE_OFFSETS_SIZE)
    _, tail = _around_records(shape, version, 0)
    return before, behind[:-1], tail  # without the length, which takes one byte


def _around_records(shape: FetchShape, version: int, offset: Offset) -> tuple[bytes, bytes]:
    """What the codec writes before and behind a single byte of records, with `offset` for each of the three."""
    partition = FetchResponse.PartitionData(
        partition_index=shape.index,
        high_watermark=offset,
        last_stable_offset=offset,
        log_start_offset=offset,
        aborted_transactions=[] if shape.isolation_level == _READ_COMMITTED else None,
        records=b"\0",
    )
    topic = FetchResponse.FetchableTopicResponse(
        topic=shape.topic_name, topic_id=shape.topic_id, partitions=[partition]
    )
    response = FetchResponse(responses=[topic])
    head, _, tail = encode(response, version)
    assert isinstance(head, bytes) and isinstance(tail, bytes)
    return head, tail

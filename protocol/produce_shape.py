"""The short way through Produce: requests that differ from the last one only in their records.

A producer sends the same bytes again and again: header, acks, time-out, one topic, one partition. Only the
correlation id and the records change. `ProduceShape.learn` remembers those bytes after the codec has read
them once; `recognise` then knows the next request by comparing, and `answer` fills the four numbers that change
into a response that the codec wrote once. What does not fit goes the ordinary way, so the codec stays the one that
decides what a request means: both ways are tested against each other.

    request   size | key, version | correlation id | client id … partition index | length, records | 0 0 0
                     `_head`                         `_prefix`
    response  size | correlation id | 0 | … index, error | base offset, append time, log start offset | …

Only flexible versions: in them three empty tag buffers follow the records, and nothing else may.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from protocol.codec import encode, encode_bytes
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.primitives import read_uvarint
from protocol.shape_places import around_number, body_position
from protocol.types import Offset, TimestampMs

_FIRST_FLEXIBLE_VERSION: Final = 9
_HEAD_SIZE: Final = 4
_PREFIX_POSITION: Final = 8
_LENGTH_AND_TAGS_SIZE: Final = 4
"""At least."""
_NO_TAGS: Final = bytes(3)

_THREE_NUMBERS_SIZE: Final = 24


class ProduceShape:
    """What stays the same over the requests of one producer to one partition."""

    __slots__ = (
        "_head",
        "_pack_response",
        "_prefix",
        "_prefix_end",
        "_response_head",
        "_response_size",
        "_response_tail",
        "_size_min",
        "_unpack",
        "acks",
        "index",
        "is_transactional",
        "timeout_ms",
        "topic_id",
        "topic_name",
        "version",
    )

    def __init__(self, frame: memoryview, prefix_end: int, request: ProduceRequest, version: int) -> None:
        self._head = bytes(frame[:_HEAD_SIZE])
        self._prefix = bytes(frame[_PREFIX_POSITION:prefix_end])
        self._prefix_end = prefix_end
        self._size_min = prefix_end + _LENGTH_AND_TAGS_SIZE
        self._unpack = Struct(f">{_HEAD_SIZE}si{len(self._prefix)}s").unpack_from
        topic = request.topic_data[0]
        self.version = version
        self.acks = request.acks
        self.is_transactional = request.transactional_id is not None
        self.timeout_ms = request.timeout_ms
        self.topic_name = topic.name
        self.topic_id = topic.topic_id
        self.index = topic.partition_data[0].index
        head, tail = _response_around_offsets(self, version)
        response = Struct(f">iib{len(head)}sqqq{len(tail)}s")
        self._response_head, self._response_tail = head, tail
        self._response_size = response.size - 4
        self._pack_response = response.pack

    @classmethod
    def learn(cls, frame: memoryview, request: ProduceRequest, version: int) -> ProduceShape | None:
        """Remember a request that the codec read from `frame`; None when it has not one partition of one topic."""
        if version < _FIRST_FLEXIBLE_VERSION or len(request.topic_data) != 1:
            return None
        topic = request.topic_data[0]
        if len(topic.partition_data) != 1:
            return None
        if topic.partition_data[0].records is None:
            return None
        before = _before_length(request, version)
        body = body_position(frame)
        prefix_end = body + len(before)
        if frame[body:prefix_end] != before:
            return None  # the codec would write something else than is there
        shape = cls(frame, prefix_end, request, version)
        return None if shape.recognise(frame) is None else shape

    def recognise(self, frame: memoryview) -> tuple[int, memoryview] | None:
        """Correlation id and records of a request of this shape; None when it is another one."""
        size = len(frame)
        if size < self._size_min:
            return None
        head, correlation_id, prefix = self._unpack(frame)
        if head != self._head or prefix != self._prefix:
            return None
        length, start = read_uvarint(frame, self._prefix_end)
        stop = start + length - 1
        if length == 0 or stop + len(_NO_TAGS) != size or frame[stop:] != _NO_TAGS:
            return None
        return correlation_id, frame[start:stop]

    def answer(
        self, correlation_id: int, base_offset: Offset, log_append_time: TimestampMs, log_start_offset: Offset
    ) -> bytes:
        """The framed response that tells of success."""
        return self._pack_response(
            self._response_size,
            correlation_id,
            0,
            self._response_head,
            base_offset,
            log_append_time,
            log_start_offset,
            self._response_tail,
        )


def _before_length(request: ProduceRequest, version: int) -> bytes:
    """What the codec writes before the length of the records."""
    topic = request.topic_data[0]
    partition = ProduceRequest.PartitionProduceData(index=topic.partition_data[0].index, records=b"\0")
    alike = ProduceRequest(
        transactional_id=request.transactional_id,
        acks=request.acks,
        timeout_ms=request.timeout_ms,
        topic_data=[
            ProduceRequest.TopicProduceData(
                name=topic.name, topic_id=topic.topic_id, partition_data=[partition]
            )
        ],
    )
    head = encode(alike, version)[0]
    assert isinstance(head, bytes)
    return head[:-1]  # without the length, which takes one byte


def _response_around_offsets(shape: ProduceShape, version: int) -> tuple[bytes, bytes]:
    """What the codec writes before and behind the three numbers."""

    def write(number: int) -> bytes:
        partition = ProduceResponse.PartitionProduceResponse(
            index=shape.index, base_offset=number, log_append_time_ms=number, log_start_offset=number
        )
        topic = ProduceResponse.TopicProduceResponse(
            name=shape.topic_name, topic_id=shape.topic_id, partition_responses=[partition]
        )
        return encode_bytes(ProduceResponse(responses=[topic]), version)

    return around_number(write, _THREE_NUMBERS_SIZE)

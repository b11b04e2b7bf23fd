"""The short way through Produce: requests that differ from the last one only in their partition and its records.

A producer sends the same bytes again and again: header, acks, time-out, one topic. Only the correlation id, the
partition and the records change. `ProduceShape.learn` remembers those bytes after the codec has read
them once; `recognise` then knows the next request by comparing, and `answer` fills the five numbers that change
into a response that the codec wrote once. What does not fit goes the ordinary way, so the codec stays the one that
decides what a request means: both ways are tested against each other.

    request   size | key, version | correlation id | client id … topic | partition index | length, records | 0 0 0
                     `_head`                         `_prefix`
    response  size | correlation id | 0 | … topic | index | error: 0 | base offset, append time, log start offset | …

Only flexible versions: in them three empty tag buffers follow the records, and nothing else may.
"""

from __future__ import annotations

from functools import partial
from struct import Struct
from typing import Final

from protocol.codec import encode, encode_bytes
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.primitives import read_uvarint
from protocol.shape_places import around_number, body_position
from protocol.types import Offset, Position, TimestampMs

_FIRST_FLEXIBLE_VERSION: Final = 9
_HEAD_SIZE: Final = 4
_PREFIX_POSITION: Final = 8
_LENGTH_AND_TAGS_SIZE: Final = 4
"""At least."""
_NO_TAGS: Final = bytes(3)
_NO_TAGS_SIZE: Final = 3

_INDEX_SIZE: Final = 4
_ERROR_SIZE: Final = 2
_THREE_NUMBERS_SIZE: Final = 24


class ProduceShape:
    """What stays the same over the requests of one producer to the partitions of one topic."""

    __slots__ = (
        "_head",
        "_length_position",
        "_pack_response",
        "_prefix",
        "_response_head",
        "_response_size",
        "_response_tail",
        "_size_min",
        "_unpack",
        "acks",
        "is_transactional",
        "timeout_ms",
        "topic_id",
        "topic_name",
        "version",
    )

    def __init__(
        self, frame: memoryview, prefix_end: Position, request: ProduceRequest, version: int
    ) -> None:
        self._head = bytes(frame[:_HEAD_SIZE])
        self._prefix = bytes(frame[_PREFIX_POSITION:prefix_end])
        self._length_position = prefix_end + _INDEX_SIZE
        self._size_min = self._length_position + _LENGTH_AND_TAGS_SIZE
        self._unpack = Struct(f">{_HEAD_SIZE}si{len(self._prefix)}si").unpack_from
        topic = request.topic_data[0]
        self.version = version
        self.acks = request.acks
        self.is_transactional = request.transactional_id is not None
        self.timeout_ms = request.timeout_ms
        self.topic_name = topic.name
        self.topic_id = topic.topic_id
        head, tail = _response_around_numbers(self, version)
        response = Struct(f">iib{len(head)}si{_ERROR_SIZE}xqqq{len(tail)}s")
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
        before, behind = around_number(partial(_up_to_records, request, version), _INDEX_SIZE)
        assert not behind
        body = body_position(frame)
        prefix_end = body + len(before)
        if frame[body:prefix_end] != before:
            return None  # the codec would write something else than is there
        shape = cls(frame, prefix_end, request, version)
        return None if shape.recognise(frame) is None else shape

    def recognise(self, frame: memoryview) -> tuple[int, int, memoryview] | None:
        """Correlation id, partition and records of a request of this shape; None when it is another one."""
        size = len(frame)
        if size < self._size_min:
            return None
        head, correlation_id, prefix, index = self._unpack(frame)
        if head != self._head or prefix != self._prefix:
            return None
        length, start = read_uvarint(frame, self._length_position)
        stop = start + length - 1
        if length == 0 or stop + _NO_TAGS_SIZE != size or frame[stop:] != _NO_TAGS:
            return None
        return correlation_id, index, frame[start:stop]

    def answer(
        self,
        correlation_id: int,
        index: int,
        base_offset: Offset,
        log_append_time: TimestampMs,
        log_start_offset: Offset,
    ) -> bytes:
        """The framed response that tells of success."""
        return self._pack_response(
            self._response_size,
            correlation_id,
            0,
            self._response_head,
            index,
            base_offset,
            log_append_time,
            log_start_offset,
            self._response_tail,
        )


def _up_to_records(request: ProduceRequest, version: int, index: int) -> bytes:
    """What the codec writes before the length of the records, when they are for the partition `index`."""
    topic = request.topic_data[0]
    partition = ProduceRequest.PartitionProduceData(index=index, records=b"\0")
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


def _response_around_numbers(shape: ProduceShape, version: int) -> tuple[bytes, bytes]:
    """What the codec writes before the index, and behind the three numbers that follow it and the error code."""

    def write(number: int) -> bytes:
        partition = ProduceResponse.PartitionProduceResponse(
            index=number, base_offset=number, log_append_time_ms=number, log_start_offset=number
        )
        topic = ProduceResponse.TopicProduceResponse(
            name=shape.topic_name, topic_id=shape.topic_id, partition_responses=[partition]
        )
        return encode_bytes(ProduceResponse(responses=[topic]), version)

    return around_number(write, _INDEX_SIZE + _ERROR_SIZE + _THREE_NUMBERS_SIZE)

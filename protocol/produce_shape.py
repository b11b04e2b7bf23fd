"""The short way through Produce: requests that differ from the last one only in their records.

A producer sends the same bytes again and again: header, acks, time-out, one topic, one partition. Only the
correlation id and the records change. `ProduceShape.learn` remembers those bytes after the codec has read
them once; `recognise` then knows the next request by comparing, and `answer` fills the four numbers that change
into a response that the codec wrote once. What does not fit goes the ordinary way, so the codec stays the one that
decides what a request means: both ways are tested against each other.

    request   size | key, version | correlation id | client id … partition index | length, records | 0 0 0
                     `_head`                         `_prefix`
    response  size | correlation id | 0 | … index, error | base offset, append time, log start offset | …

Only flexible versions: in them all that may follow the records is three empty tag buffers.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from protocol.codec import encode_bytes
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.primitives import encode_uvarint, read_uvarint
from protocol.types import Offset, TimestampMs

_FIRST_FLEXIBLE_VERSION: Final = 9
_HEAD_SIZE: Final = 4
_PREFIX_POSITION: Final = 8
_NO_TAGS: Final = bytes(3)

_OFFSETS: Final = Struct(">qqq")
_MARK: Final = 0x7A7A7A7A7A7A7A7A
"""Stands for each of the three numbers while their place is looked for."""


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
        records = topic.partition_data[0].records
        if records is None:
            return None
        length = encode_uvarint(len(records) + 1)
        records_at = len(frame) - len(_NO_TAGS) - len(records)
        prefix_end = records_at - len(length)
        if frame[records_at + len(records) :] != _NO_TAGS or frame[prefix_end:records_at] != length:
            return None
        return cls(frame, prefix_end, request, version)

    def recognise(self, frame: memoryview) -> memoryview | None:
        """The records of a request of this shape; None when it is another one."""
        end = self._prefix_end
        if (
            len(frame) <= end
            or bytes(frame[:_HEAD_SIZE]) != self._head
            or bytes(frame[_PREFIX_POSITION:end]) != self._prefix
        ):
            return None
        length, start = read_uvarint(frame, end)
        stop = start + length - 1
        if length == 0 or stop + len(_NO_TAGS) != len(frame) or frame[stop:] != _NO_TAGS:
            return None
        return frame[start:stop]

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


def _response_around_offsets(shape: ProduceShape, version: int) -> tuple[bytes, bytes]:
    """What the codec writes before and behind the three numbers."""
    partition = ProduceResponse.PartitionProduceResponse(
        index=shape.index, base_offset=_MARK, log_append_time_ms=_MARK, log_start_offset=_MARK
    )
    topic = ProduceResponse.TopicProduceResponse(
        name=shape.topic_name, topic_id=shape.topic_id, partition_responses=[partition]
    )
    body = encode_bytes(ProduceResponse(responses=[topic]), version)
    # From the right: names may hold the mark, what follows the numbers does not.
    head, _, tail = body.rpartition(_OFFSETS.pack(_MARK, _MARK, _MARK))
    return head, tail

"""Fetch requests for some partitions, in turn, each from its start to its end, and then from the first again.

An answer's records are looked at no further than the batches' headers, to know where the next request begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import NamedTuple

from logd.load.conversation import Tally, refused
from logd.load.frames import ANSWER_BODY_AT, FETCH_VERSION, frame, name_size
from protocol.codec import decode
from protocol.errors import BrokerError
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.primitives import read_uvarint
from protocol.records import HEADER_SIZE, LOG_OVERHEAD

FETCH_BYTES = 1 << 20
"""max.partition.fetch.bytes of the standard clients."""

_CODE = Struct(">h")
_SIZE = Struct(">i")
_OFFSET = Struct(">q")
_MARK = 0x0102030405060708  # stands in a frame where the offset will be
_BATCH = Struct(">qi11xi30xi")  # base offset, length, last offset delta, number of records


class Stretch(NamedTuple):
    """Offsets of a partition, `end` exclusive; None: on and on, as records come."""

    partition: int
    start: int
    end: int | None


class FetchConversation:
    """See `Conversation`. One request at a time: the next one's offset is in the answer."""

    room = 1
    answers = True

    def __init__(
        self,
        topic: str,
        stretches: Sequence[Stretch],
        tally: Tally,
        *,
        bytes_max: int = FETCH_BYTES,
        wait_ms: int = 500,
        arrived: Callable[[int, int, int], None] | None = None,
    ) -> None:
        """`arrived` is told of each batch: its base offset, its number of records, and when it came."""
        self._topic = topic
        self._stretches = stretches
        self._tally = tally
        self._arrived = arrived
        self._frames = [
            bytearray(fetch_frame(topic, each.partition, _MARK, bytes_max, wait_ms)) for each in stretches
        ]
        self._offset_at = self._frames[0].index(_OFFSET.pack(_MARK))
        self._at = 0
        self._offset = stretches[0].start
        self._codes_at = ANSWER_BODY_AT + 4, ANSWER_BODY_AT + 4 + 2 + 4 + 1 + name_size(topic) + 1 + 4

    def request(self) -> bytearray:
        request = self._frames[self._at]
        _OFFSET.pack_into(request, self._offset_at, self._offset)
        return request

    def answered(self, answer: memoryview, since_ns: int | None, now_ns: int) -> None:
        request_error_at, error_at = self._codes_at
        if _CODE.unpack_from(answer, request_error_at)[0] or _CODE.unpack_from(answer, error_at)[0]:
            raise self._refusal(answer)
        # Behind the error: high watermark, last stable offset, log start offset; no aborted transactions, since nobody
        # asked for read_committed; preferred read replica.
        size, at = read_uvarint(answer, error_at + 2 + 3 * 8 + 1 + 4)
        end = at + max(size - 1, 0)
        records = 0
        begin = at
        while at + HEADER_SIZE <= end:
            base_offset, length, last_delta, count = _BATCH.unpack_from(answer, at)
            if at + LOG_OVERHEAD + length > end:
                break  # cut off by the limit of bytes; the next request begins with it
            at += LOG_OVERHEAD + length
            records += count
            self._offset = base_offset + last_delta + 1
            if self._arrived is not None:
                self._arrived(base_offset, count, now_ns)
        if since_ns is not None:
            self._tally.add(records, at - begin)
        limit = self._stretches[self._at].end
        if limit is not None and self._offset >= limit:
            self._at = (self._at + 1) % len(self._stretches)
            self._offset = self._stretches[self._at].start

    def _refusal(self, answer: memoryview) -> BrokerError:
        response = decode(FetchResponse, FETCH_VERSION, answer, ANSWER_BODY_AT)
        code = response.error_code or response.responses[0].partitions[0].error_code
        return refused(f"fetch from {self._topic} [{self._stretches[self._at].partition}]", code)


def fetch_frame(
    topic: str, partition: int, offset: int, bytes_max: int = FETCH_BYTES, wait_ms: int = 500
) -> bytes:
    wanted = FetchRequest.FetchPartition(
        partition=partition, fetch_offset=offset, partition_max_bytes=bytes_max
    )
    request = FetchRequest(
        max_wait_ms=wait_ms,
        min_bytes=1,
        max_bytes=bytes_max,
        topics=[FetchRequest.FetchTopic(topic=topic, partitions=[wanted])],
    )
    return frame(request, FETCH_VERSION)

"""The short way through Fetch says what the codec says, or nothing.

Method: a request is learned; then a stream of other requests, some alike and some damaged, is shown to the shape and
to the codec. Where the shape recognises one, the codec must read the same fetch offset and everything else unchanged;
its answer must be the bytes that the codec writes.
"""

from __future__ import annotations

import struct
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import encode, encode_bytes
from protocol.fetch_shape import FetchShape
from protocol.messages.fetch import FetchRequest, FetchResponse
from tests.support import request_frames

VERSIONS = st.integers(4, 18)
FLEXIBLE_VERSIONS = st.integers(12, 18)
INT64 = st.integers(-(2**63), 2**63 - 1)
SOME = st.sampled_from([1, 1, 1, 1, 0, 2])


@st.composite
def requests(draw: st.DrawFn, version: int) -> FetchRequest:
    """Mostly one partition of one topic, from a small world, so that requests are often alike."""
    by_id = version >= 13
    topics = [
        FetchRequest.FetchTopic(
            topic="" if by_id else draw(st.sampled_from(["a", "b", "zzzzzzzzzzzzzzzzzzzzzzzzz"])),
            topic_id=bytes([draw(st.integers(1, 2))] * 16) if by_id else bytes(16),
            partitions=[
                FetchRequest.FetchPartition(
                    partition=draw(st.sampled_from([0, 1, 0x7A7A7A7A])),
                    current_leader_epoch=draw(st.sampled_from([-1, 5])) if version >= 9 else -1,
                    fetch_offset=draw(INT64),
                    partition_max_bytes=draw(st.sampled_from([1 << 20, 0])),
                )
                for _ in range(draw(SOME))
            ],
        )
        for _ in range(draw(SOME))
    ]
    return FetchRequest(
        max_wait_ms=draw(st.sampled_from([0, 500])),
        min_bytes=draw(st.sampled_from([0, 1])),
        max_bytes=draw(st.sampled_from([1 << 20, 50 << 20])),
        isolation_level=draw(st.integers(0, 1)),
        topics=topics,
        rack_id=draw(st.sampled_from(["", "r", "zzzzzzzzzzzz"])) if version >= 11 else "",
    )


frame = partial(request_frames.frame, first_flexible=12)
read = partial(request_frames.read, FetchRequest, first_flexible=12)


def only_partition(request: FetchRequest) -> FetchRequest.FetchPartition:
    return request.topics[0].partitions[0]


def has_one_partition(request: FetchRequest) -> bool:
    return len(request.topics) == 1 and len(request.topics[0].partitions) == 1


@given(st.data(), VERSIONS, st.integers(0, 2**31 - 1))
def test_what_is_recognised_is_what_the_codec_reads(data: st.DataObject, version: int, number: int) -> None:
    clients = st.sampled_from([None, "", "c"])
    first = frame(data.draw(requests(version)), version, number, data.draw(clients))
    header, request = read(first) or (None, None)
    assert header is not None and request is not None
    shape = FetchShape.learn(memoryview(first), request, version)
    if shape is None:
        return
    for _ in range(3):
        other = bytearray(
            frame(data.draw(requests(version)), version, data.draw(st.integers(0, 9)), data.draw(clients))
        )
        if data.draw(st.booleans()):
            other = bytearray(first)
        for _ in range(data.draw(st.integers(0, 2))):
            other[data.draw(st.integers(4, len(other) - 1))] = data.draw(st.integers(0, 255))
        other = other[: data.draw(st.sampled_from([len(other), len(other), len(other) - 1]))]
        found = shape.recognise(memoryview(other))
        if found is None:
            continue
        correlation_id, offset = found
        now = read(bytes(other))
        assert now is not None
        assert only_partition(now[1]).fetch_offset == offset
        only_partition(now[1]).fetch_offset = only_partition(request).fetch_offset
        assert now[1] == request
        assert now[0].correlation_id == correlation_id
        assert (now[0].client_id, now[0].request_api_version) == (header.client_id, version)


@given(st.data(), FLEXIBLE_VERSIONS, INT64)
def test_the_next_request_of_a_consumer_is_recognised(data: st.DataObject, version: int, offset: int) -> None:
    request = data.draw(requests(version).filter(has_one_partition))
    shape = FetchShape.learn(memoryview(frame(request, version, 1, "c")), request, version)
    assert shape is not None
    only_partition(request).fetch_offset = offset
    assert shape.request(offset) == request
    assert shape.recognise(memoryview(frame(request, version, 2, "c"))) == (2, offset)


@given(st.data(), FLEXIBLE_VERSIONS)
def test_what_the_codec_would_write_in_another_way_is_not_learned(data: st.DataObject, version: int) -> None:
    """A tagged field that nobody knows stands at the end of the request."""
    request = data.draw(requests(version).filter(has_one_partition))
    tagged = frame(request, version, 1, "c")[:-1] + b"\x01\x63\x01x"
    now = read(tagged)
    assert now is not None and now[1] == request
    assert FetchShape.learn(memoryview(tagged), request, version) is None


@given(st.data(), FLEXIBLE_VERSIONS)
def test_what_stands_behind_a_body_is_nothing_to_learn_from(data: st.DataObject, version: int) -> None:
    """The codec passes over it; looked at from the end of the frame, it is a body."""
    request = data.draw(requests(version).filter(has_one_partition))
    tagged = frame(request, version, 1, "c")[:-1] + b"\x01\x63\x01x"
    for behind in (b"\0", encode_bytes(request, version)):
        assert FetchShape.learn(memoryview(tagged + behind), request, version) is None
    assert FetchShape.learn(memoryview(frame(request, version, 1, "c") + b"\0"), request, version) is None


@given(st.data(), FLEXIBLE_VERSIONS, st.integers(0, 2**31 - 1), INT64, INT64, INT64, st.integers(1, 1 << 16))
def test_the_answer_is_what_the_codec_writes(
    data: st.DataObject, version: int, number: int, high: int, stable: int, start: int, size: int
) -> None:
    request = data.draw(requests(version).filter(has_one_partition))
    shape = FetchShape.learn(memoryview(frame(request, version, 1, "c")), request, version)
    assert shape is not None
    topic = request.topics[0]
    records = bytes(size)
    partition = FetchResponse.PartitionData(
        partition_index=topic.partitions[0].partition,
        high_watermark=high,
        last_stable_offset=stable,
        log_start_offset=start,
        aborted_transactions=[] if request.isolation_level else None,
        records=records,
    )
    responses = [
        FetchResponse.FetchableTopicResponse(
            topic=topic.topic, topic_id=topic.topic_id, partitions=[partition]
        )
    ]
    head, _, tail = encode(FetchResponse(responses=responses), version)
    assert isinstance(head, bytes) and isinstance(tail, bytes)
    framed = struct.pack(">iib", 5 + len(head) + size + len(tail), number, 0)
    assert shape.answer(number, high, stable, start, size) == framed + head
    assert shape.tail == tail

"""The short way through Produce says what the codec says, or nothing.

Method: a request is learned; then a stream of other requests, some alike and some damaged, is shown to the shape and
to the codec. Where the shape recognises one, the codec must read the same records and everything else unchanged;
its answer must be the bytes that the codec writes.
"""

from __future__ import annotations

import struct
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import encode_bytes
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.produce_shape import ProduceShape
from tests.support import request_frames

VERSIONS = st.integers(3, 13)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
_Topic = ProduceRequest.TopicProduceData
_Partition = ProduceRequest.PartitionProduceData


@st.composite
def requests(draw: st.DrawFn, version: int) -> ProduceRequest:
    """Mostly one partition of one topic, from a small world, so that requests are often alike."""
    by_id = version >= 13
    topics = [
        _Topic(
            name="" if by_id else draw(st.sampled_from(["a", "b", "zzzzzzzzzzzzzzzzzzzzzzzzz"])),
            topic_id=bytes([draw(st.integers(1, 2))] * 16) if by_id else bytes(16),
            partition_data=[
                _Partition(
                    index=draw(st.sampled_from([0, 1, 0x7A7A7A7A])),
                    records=draw(st.one_of(st.none(), st.binary(max_size=300))),
                )
                for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2])))
            ],
        )
        for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2])))
    ]
    return ProduceRequest(
        transactional_id=draw(st.sampled_from([None, None, "", "tx"])),
        acks=draw(st.sampled_from([-1, 1, 0])),
        timeout_ms=draw(st.sampled_from([0, 30_000])),
        topic_data=topics,
    )


frame = partial(request_frames.frame, first_flexible=9)
read = partial(request_frames.read, ProduceRequest, first_flexible=9)


@given(st.data(), VERSIONS, st.integers(0, 2**31 - 1))
def test_what_is_recognised_is_what_the_codec_reads(data: st.DataObject, version: int, number: int) -> None:
    clients = st.sampled_from([None, "", "c"])
    learned = data.draw(requests(version))
    first = frame(learned, version, number, data.draw(clients))
    header, request = read(first) or (None, None)
    assert header is not None and request is not None
    shape = ProduceShape.learn(memoryview(first), request, version)
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
        correlation_id, index, records = found
        now = read(bytes(other))
        assert now is not None
        data_now, data_learned = (each.topic_data[0].partition_data[0] for each in (now[1], request))
        assert (data_now.index, bytes(data_now.records or b"")) == (index, bytes(records))  # type: ignore[arg-type]
        data_now.index, data_now.records = data_learned.index, data_learned.records
        assert now[1] == request
        assert now[0].correlation_id == correlation_id
        assert (now[0].client_id, now[0].request_api_version) == (header.client_id, version)


@given(st.data(), st.integers(9, 13), INT32, st.binary(max_size=200))
def test_the_next_request_of_a_producer_is_recognised(
    data: st.DataObject, version: int, index: int, records: bytes
) -> None:
    request = data.draw(
        requests(version).filter(
            lambda r: (
                len(r.topic_data) == 1
                and len(r.topic_data[0].partition_data) == 1
                and r.topic_data[0].partition_data[0].records is not None
            )
        )
    )
    shape = ProduceShape.learn(memoryview(frame(request, version, 1, "c")), request, version)
    assert shape is not None
    partition_data = request.topic_data[0].partition_data[0]
    partition_data.index, partition_data.records = index, records
    found = shape.recognise(memoryview(frame(request, version, 2, "c")))
    assert found is not None and (*found[:2], bytes(found[2])) == (2, index, records)


@given(st.integers(9, 12), st.integers(1, 126))
def test_what_stands_behind_a_body_is_nothing_to_learn_from(version: int, size: int) -> None:
    """The codec passes over it. Looked at from the end of the frame, the length of the records stands in them."""
    records = bytes((size + 1,)) + bytes(size - 1)
    request = ProduceRequest(
        acks=1,
        timeout_ms=1,
        topic_data=[_Topic(name="a", partition_data=[_Partition(index=0, records=records)])],
    )
    whole = frame(request, version, 1, "c")
    assert ProduceShape.learn(memoryview(whole), request, version) is not None
    assert ProduceShape.learn(memoryview(whole + b"\0"), request, version) is None


@given(st.data(), st.integers(9, 13), st.integers(0, 2**31 - 1), INT32, INT64, INT64, INT64)
def test_the_answer_is_what_the_codec_writes(
    data: st.DataObject, version: int, number: int, index: int, base: int, time: int, start: int
) -> None:
    request = data.draw(requests(version))
    shape = ProduceShape.learn(memoryview(frame(request, version, 1, "c")), request, version)
    if shape is None:
        return
    topic = request.topic_data[0]
    body = encode_bytes(
        ProduceResponse(
            responses=[
                ProduceResponse.TopicProduceResponse(
                    name=topic.name,
                    topic_id=topic.topic_id,
                    partition_responses=[
                        ProduceResponse.PartitionProduceResponse(
                            index=index,
                            base_offset=base,
                            log_append_time_ms=time,
                            log_start_offset=start,
                        )
                    ],
                )
            ]
        ),
        version,
    )
    framed = struct.pack(">iib", len(body) + 5, number, 0) + body
    assert shape.answer(number, index, base, time, start) == framed

"""Goal: a load reads of answers what it must, wherever it lies. Method: answers encoded by the codec."""

from __future__ import annotations

from typing import cast

import pytest

from logd.load.batches import batch_of, records_that_fit
from logd.load.conversation import Tally
from logd.load.end_to_end import EndToEnd, Writer, reader
from logd.load.fetch import FetchConversation, Stretch
from logd.load.frames import FETCH_VERSION, PRODUCE_VERSION
from logd.load.histogram import Histogram
from logd.load.produce import ProduceConversation
from protocol.codec import decode, encode_bytes
from protocol.compression import Codec
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.record_builder import build_batch
from protocol.records import Record, iter_records

NAMES = ["t", "größe", "n" * 125, "n" * 126, "n" * 127, "n" * 249]
_HEAD = bytes(5)  # correlation id, no tagged fields
_REQUEST_HEAD = 4 + 2 + 2 + 4 + 2 + len("logd-bench") + 1


def _produced(topic: str, code: int, offset: int = 0, message: str | None = None) -> memoryview:
    row = ProduceResponse.PartitionProduceResponse(
        index=3, error_code=code, base_offset=offset, error_message=message
    )
    response = ProduceResponse(
        responses=[ProduceResponse.TopicProduceResponse(name=topic, partition_responses=[row])]
    )
    return memoryview(_HEAD + encode_bytes(response, PRODUCE_VERSION))


def _fetched(topic: str, records: bytes, code: int = 0, request_code: int = 0) -> memoryview:
    partition = FetchResponse.PartitionData(
        partition_index=2, error_code=code, high_watermark=9, records=records
    )
    topics = [FetchResponse.FetchableTopicResponse(topic=topic, partitions=[partition])]
    response = FetchResponse(error_code=request_code, responses=[] if request_code else topics)
    return memoryview(_HEAD + encode_bytes(response, FETCH_VERSION))


def _batch(base_offset: int, records: int) -> bytes:
    return bytes(
        build_batch(
            (Record(base_offset + each, 0, None, b"value") for each in range(records)),
            base_offset=base_offset,
        )
    )


@pytest.mark.parametrize("topic", NAMES)
def test_an_acknowledgement_is_counted(topic: str) -> None:
    tally = Tally()
    batch = batch_of(3, 10)
    conversation = ProduceConversation(topic, [3], batch, tally)
    conversation.answered(_produced(topic, 0, 77), 1, 2)
    conversation.answered(_produced(topic, 0, 80), None, 2)  # warm-up
    assert (tally.records, tally.payload_bytes) == (3, 30)
    assert conversation.last_offset == 80


@pytest.mark.parametrize("topic", NAMES)
def test_a_refused_produce_names_the_error(topic: str) -> None:
    conversation = ProduceConversation(topic, [3], batch_of(1, 1), Tally())
    with pytest.raises(BrokerError, match=r"\[3\] was refused: too large$") as refused:
        conversation.answered(_produced(topic, ErrorCode.MESSAGE_TOO_LARGE, message="too large"), 1, 2)
    assert refused.value.code == ErrorCode.MESSAGE_TOO_LARGE


def test_an_error_of_a_later_broker_is_told_by_its_number() -> None:
    conversation = ProduceConversation("t", [3], batch_of(1, 1), Tally())
    with pytest.raises(BrokerError, match="error code 9999"):
        conversation.answered(_produced("t", 9999), 1, 2)


def test_partitions_take_turns() -> None:
    conversation = ProduceConversation("t", [4, 5], batch_of(2, 8), Tally(), acks=1)
    for partition in (4, 5, 4):
        frame = conversation.request()
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        request = decode(ProduceRequest, PRODUCE_VERSION, memoryview(frame), 4 + _REQUEST_HEAD - 4)
        assert request.acks == 1
        (data,) = request.topic_data[0].partition_data
        assert data.index == partition
        assert [len(record.value or b"") for record in iter_records(cast(bytes, data.records))] == [8, 8]


@pytest.mark.parametrize("topic", NAMES)
def test_a_fetch_goes_on_behind_what_it_got_and_begins_again_at_the_end(topic: str) -> None:
    tally = Tally()
    arrived: list[tuple[int, int, int]] = []
    conversation = FetchConversation(
        topic,
        [Stretch(2, 10, 16), Stretch(7, 0, 1)],
        tally,
        arrived=lambda base, count, now: arrived.append((base, count, now)),
    )
    first, second, rest = _batch(10, 3), _batch(13, 2), _batch(15, 1)
    asked = []
    for records in (first + second + rest[:40], rest, _batch(0, 1), first):
        request = decode(
            FetchRequest, FETCH_VERSION, memoryview(bytes(conversation.request())), _REQUEST_HEAD
        )
        wanted = request.topics[0].partitions[0]
        asked.append((wanted.partition, wanted.fetch_offset))
        conversation.answered(_fetched(topic, records), 1, 5)
    assert asked == [(2, 10), (2, 15), (7, 0), (2, 10)]
    assert tally.records == 3 + 2 + 1 + 1 + 3
    assert tally.payload_bytes == 2 * len(first) + len(second) + len(rest) + len(_batch(0, 1))
    assert arrived[:3] == [(10, 3, 5), (13, 2, 5), (15, 1, 5)]


def test_an_empty_fetch_changes_nothing() -> None:
    tally = Tally()
    conversation = FetchConversation("t", [Stretch(2, 10, None)], tally)
    before = bytes(conversation.request())
    conversation.answered(_fetched("t", b""), 1, 2)
    assert bytes(conversation.request()) == before
    assert tally.records == 0


@pytest.mark.parametrize("place", ["code", "request_code"])
def test_a_refused_fetch_names_the_error(place: str) -> None:
    conversation = FetchConversation("t", [Stretch(2, 0, 5)], Tally())
    answer = _fetched("t", b"", **{place: int(ErrorCode.OFFSET_OUT_OF_RANGE)})
    with pytest.raises(BrokerError, match=r"fetch from t \[2\] was refused") as refused:
        conversation.answered(answer, 1, 2)
    assert refused.value.code == ErrorCode.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize("codec", list(Codec))
def test_batches_are_what_a_consumer_reads(codec: Codec) -> None:
    batch = batch_of(20, 100, codec)
    assert len(list(iter_records(batch.encoded))) == batch.records == 20
    assert batch.payload_bytes == 2000
    assert [len(record.value or b"") for record in iter_records(batch.encoded)] == [100] * 20
    assert batch_of(20, 100, codec)[1:] == batch[1:]


@pytest.mark.parametrize("batch_bytes", [1, 200, 1_000, 16_384, 131_072])
@pytest.mark.parametrize("record_bytes", [1, 63, 64, 100, 1024, 200_000])
def test_batches_are_filled_as_far_as_they_go(batch_bytes: int, record_bytes: int) -> None:
    records = records_that_fit(batch_bytes, record_bytes)
    assert records == 1 or len(batch_of(records, record_bytes).encoded) <= batch_bytes
    assert len(batch_of(records + 1, record_bytes).encoded) > batch_bytes


def test_end_to_end_meets_both_orders_and_leaves_others_records_out() -> None:
    end_to_end = EndToEnd()
    end_to_end.acknowledged(0, None)  # warm-up
    end_to_end.arrived(0, 1, 50)
    end_to_end.acknowledged(1, 100)
    assert end_to_end.waiting == 1
    end_to_end.arrived(1, 2, 140)  # 2 is somebody else's
    end_to_end.arrived(3, 1, 260)
    end_to_end.acknowledged(3, 200)
    assert end_to_end.waiting == 0
    assert end_to_end.taken.count == 2
    assert (end_to_end.taken.lowest, end_to_end.taken.highest) == (40, 60)


def test_several_consumers_wait_for_the_same_records() -> None:
    taken = Histogram()
    readers = [EndToEnd(taken) for _ in range(2)]
    writer = Writer("t", [0], batch_of(15, 10), Tally())
    writer.readers = readers
    first, second = (reader("t", 0, 0, each) for each in readers)
    first.answered(_fetched("t", _batch(7, 15)), None, 130)
    writer.answered(_produced("t", 0, 7), 100, 140)
    assert [each.waiting for each in readers] == [0, 1]
    second.answered(_fetched("t", _batch(7, 15)), None, 180)
    assert [each.waiting for each in readers] == [0, 0]
    assert (taken.count, taken.lowest, taken.highest) == (2, 30, 80)

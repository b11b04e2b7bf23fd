"""The codec on messages written out by hand: exact bytes, chunks, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.codec import decode, encode, encode_bytes, reader_for, writer_for
from protocol.errors import ErrorCode, ProtocolViolation
from protocol.messages.api_versions import ApiVersionsRequest
from protocol.messages.create_topics import CreateTopicsRequest
from protocol.messages.describe_groups import DescribeGroupsRequest
from protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.messages.headers import RequestHeader
from protocol.messages.list_offsets import ListOffsetsRequest
from protocol.messages.metadata import MetadataRequest, MetadataResponse
from protocol.messages.offset_fetch import OffsetFetchRequest
from protocol.messages.produce import ProduceRequest
from protocol.messages.records_group import (
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
)
from protocol.messages.records_transaction import TransactionLogValue
from protocol.primitives import encode_uvarint
from protocol.types import ZERO_UUID

Partition = FetchResponse.PartitionData


class Region:
    """Stands for a region of a file: all that the codec may ask is its length."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size


def fetched(*records: Any) -> FetchResponse:
    partitions = [Partition(partition_index=index, records=item) for index, item in enumerate(records)]
    return FetchResponse(responses=[FetchResponse.FetchableTopicResponse(partitions=partitions)])


def test_bytes_of_a_plain_message() -> None:
    request = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="ab")])
    assert encode_bytes(request, 4) == bytes.fromhex("00000001 0002 6162 01")


def test_bytes_of_a_flexible_message() -> None:
    request = ApiVersionsRequest(client_software_name="lib", client_software_version="1.0")
    assert encode_bytes(request, 3) == bytes.fromhex("04 6c6962 04 312e30 00")


def test_tagged_fields_are_written_in_order_and_only_when_set() -> None:
    value = TransactionLogValue(producer_id=1, transaction_partitions=None)
    untagged = "0000000000000001 0000 00000000 00 00 0000000000000000 0000000000000000"
    assert encode_bytes(value, 1) == bytes.fromhex(untagged + "00")
    value.next_producer_epoch = 3
    value.client_transaction_version = 2
    assert encode_bytes(value, 1) == bytes.fromhex(untagged + "02 02 02 0002 03 02 0003")
    assert decode(TransactionLogValue, 1, encode_bytes(value, 1)) == value


def test_null_array_and_empty_array_differ() -> None:
    for version, null, empty in ((1, "ffffffff", "00000000"), (9, "00 01 00 00 00", "01 01 00 00 00")):
        for topics, form in ((None, null), ([], empty)):
            body = bytes.fromhex(form)
            assert encode_bytes(MetadataRequest(topics=topics), version) == body
            assert decode(MetadataRequest, version, body).topics == topics


def test_a_nullable_struct_says_whether_it_is_there() -> None:
    request = DescribeTopicPartitionsRequest(topics=[], response_partition_limit=1)
    assert encode_bytes(request, 0) == bytes.fromhex("01 00000001 ff 00")
    request.cursor = DescribeTopicPartitionsRequest.Cursor(topic_name="a", partition_index=2)
    assert encode_bytes(request, 0) == bytes.fromhex("01 00000001 01 02 61 00000002 00 00")
    assert decode(DescribeTopicPartitionsRequest, 0, encode_bytes(request, 0)) == request


def test_a_nullable_tagged_struct_says_it_with_a_varint() -> None:
    value = ConsumerGroupMemberMetadataValue(classic_member_metadata=None)
    assert encode_bytes(value, 0)[-4:] == bytes.fromhex("01 00 01 00")
    absent = encode_bytes(value, 0)[:-4] + b"\0"
    default = ConsumerGroupMemberMetadataValue.ClassicMemberMetadata()
    assert decode(ConsumerGroupMemberMetadataValue, 0, absent).classic_member_metadata == default
    value.classic_member_metadata = ConsumerGroupMemberMetadataValue.ClassicMemberMetadata(
        session_timeout_ms=9
    )
    assert encode_bytes(value, 0)[-10:] == bytes.fromhex("01 00 07 01 00000009 01 00")
    assert decode(ConsumerGroupMemberMetadataValue, 0, encode_bytes(value, 0)) == value


def test_a_tagged_struct_is_none_until_it_is_set() -> None:
    partition = Partition(current_leader=FetchResponse.LeaderIdAndEpoch(leader_id=2, leader_epoch=5))
    message = FetchResponse(responses=[FetchResponse.FetchableTopicResponse(partitions=[partition])])
    read = decode(FetchResponse, 12, encode_bytes(message, 12)).responses[0].partitions[0]
    assert read.current_leader == partition.current_leader
    assert read.diverging_epoch is None


@pytest.mark.parametrize("version", [4, 11, 12, 18])
def test_records_are_chunks_of_their_own_in_their_place(version: int) -> None:
    region, batch = Region(200), memoryview(b"x" * 300)
    chunks: list[Any] = encode(fetched(region, None, batch, b""), version)
    assert [type(chunk) for chunk in chunks] == [bytes, Region, bytes, memoryview, bytes]
    assert chunks[1] is region
    assert chunks[3] is batch
    flat = b"".join(bytes(chunk) if not isinstance(chunk, Region) else bytes(200) for chunk in chunks)
    assert decode(FetchResponse, version, flat) == fetched(bytes(200), None, batch, b"")


def test_records_come_out_as_views_and_bytes_as_copies() -> None:
    partition = ProduceRequest.PartitionProduceData(index=1, records=b"batch")
    topic = ProduceRequest.TopicProduceData(name="t", partition_data=[partition])
    buf = bytearray(encode_bytes(ProduceRequest(topic_data=[topic]), 9))
    records = decode(ProduceRequest, 9, buf).topic_data[0].partition_data[0].records
    assert isinstance(records, memoryview)
    assert not records.readonly
    assert records.obj is buf


def test_long_arrays_and_strings() -> None:
    partition, topic = MetadataResponse.MetadataResponsePartition, MetadataResponse.MetadataResponseTopic
    long = topic(name="n" * 20_000, partitions=[partition(partition_index=index) for index in range(400)])
    short = topic(name="n", partitions=[partition(replica_nodes=list(range(300)))])
    message = MetadataResponse(topics=[long, *[short] * 130])
    for version in (8, 12):
        assert decode(MetadataResponse, version, encode_bytes(message, version)) == message


@pytest.mark.parametrize(
    ("message", "version"),
    [
        (FetchRequest(forgotten_topics_data=[FetchRequest.ForgottenTopic()]), 6),
        (ListOffsetsRequest(replica_id=1, isolation_level=1, topics=[]), 99),
        (CreateTopicsRequest(topics=[CreateTopicsRequest.CreatableTopic(name=None)]), 5),  # type: ignore[arg-type]
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="x" * 32_768)]), 4),
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="x" * 32_768)]), 9),
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="\udfff")]), 9),
        (MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(topic_id=b"short")]), 12),
        (MetadataRequest(topics=None), 0),
        (FetchRequest(max_wait_ms=1 << 31), 12),
        (FetchRequest(replica_id=7), 15),
    ],
)
def test_what_the_version_cannot_say_is_not_written(message: Any, version: int) -> None:
    with pytest.raises(ProtocolViolation):
        encode(message, version)


def test_ignorable_fields_are_dropped() -> None:
    assert encode_bytes(FetchRequest(rack_id="r1"), 10) == encode_bytes(FetchRequest(), 10)


@pytest.mark.parametrize(
    ("version", "form"),
    [
        (4, ""),
        (4, "0000"),
        (4, "fffffffe 00"),  # a count of -2
        (4, "00000001 ffff 00"),  # a name that is null
        (4, "00000001 fffe 00"),
        (4, "00000001 0002 c328 00"),  # not UTF-8
        (4, "00000001 0005 6162 00"),  # longer than what is there
        (4, "7fffffff 0001 61 00"),  # a count of more than what is there
        (4, "ffffffff 00 00"),  # a byte too many
        (9, "02 00 00 00 00 00 00"),  # a name that is null
        (9, "ffffffff07 00 00 00 00"),
        (9, "808080808000 00 00 00 00"),
        (9, "00 00 00 00 01"),  # a tagged field that is not there
        (9, "00 00 00 00 02 05 00 05 00"),  # the same tag twice
        (9, "00 00 00 00 01 05 04 00"),  # longer than what is there
    ],
)
def test_malformed_bytes_are_refused(version: int, form: str) -> None:
    with pytest.raises(ProtocolViolation):
        decode(MetadataRequest, version, bytes.fromhex(form))


@pytest.mark.parametrize("size", [3, 5])
def test_a_known_tagged_field_has_the_size_that_it_announces(size: int) -> None:
    body = encode_bytes(FetchRequest(cluster_id="abc"), 12)
    known, unknown = bytes.fromhex("00 04 04 616263"), bytes.fromhex("05 00")
    assert body.endswith(b"\x01" + known)
    before = body[: -len(known) - 1] + b"\x02"
    assert decode(FetchRequest, 12, before + known + unknown).cluster_id == "abc"
    with pytest.raises(ProtocolViolation, match="cluster_id"):
        decode(FetchRequest, 12, before + bytes((0, size)) + known[2:] + unknown)


def test_a_string_cut_off_at_the_very_end_is_refused() -> None:
    with pytest.raises(ProtocolViolation, match="truncated"):
        reader_for(RequestHeader, 1)(bytes.fromhex("0001 000b 00000005 0005 6162"), 0)


def test_compact_strings_are_as_short_as_plain_ones() -> None:
    for size, fits in ((32_767, True), (32_768, False)):
        body = b"\x02" + encode_uvarint(size + 1) + b"x" * size + bytes.fromhex("00 00 00 00 00")
        if fits:
            assert decode(MetadataRequest, 9, body).topics[0].name == "x" * size  # type: ignore[index]
        else:
            with pytest.raises(ProtocolViolation, match="32768 bytes"):
                decode(MetadataRequest, 9, body)


def test_the_smallest_elements_are_not_too_many() -> None:
    request = DescribeGroupsRequest(groups=[""] * 9)
    assert encode_bytes(request, 5) == b"\x0a" + b"\x01" * 9 + b"\0\0"
    assert decode(DescribeGroupsRequest, 5, encode_bytes(request, 5)) == request


def test_null_is_no_default_where_the_default_is_empty() -> None:
    value = ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions(assignment_epochs=None)
    message = ConsumerGroupCurrentMemberAssignmentValue(assigned_partitions=[value])
    read = decode(ConsumerGroupCurrentMemberAssignmentValue, 0, encode_bytes(message, 0))
    assert read.assigned_partitions[0].assignment_epochs is None
    with pytest.raises(ProtocolViolation, match="topics is set"):
        encode(OffsetFetchRequest(topics=None), 8)


def test_a_count_is_refused_before_its_elements_are_read() -> None:
    body = b"\0\0\0\x03" + b"\0\x01a" * 2
    with pytest.raises(ProtocolViolation, match="announces 3 elements"):
        decode(MetadataRequest, 0, body[:-2])


@pytest.mark.parametrize("version", [-1, 14])
def test_other_versions_do_not_exist(version: int) -> None:
    for build in (reader_for, writer_for):
        with pytest.raises(ProtocolViolation, match="versions 0 to 13"):
            build(MetadataRequest, version)


def test_codecs_are_built_once() -> None:
    assert reader_for(MetadataRequest, 9) is reader_for(MetadataRequest, 9)
    assert writer_for(MetadataRequest, 9) is writer_for(MetadataRequest, 9)


def test_messages_compare_and_print_by_field() -> None:
    topic = MetadataRequest.MetadataRequestTopic(name="a")
    assert topic == MetadataRequest.MetadataRequestTopic(name="a", topic_id=ZERO_UUID)
    assert topic != MetadataRequest.MetadataRequestTopic(name="b")
    assert topic != "a"
    assert repr(topic) == f"MetadataRequest.MetadataRequestTopic(topic_id={ZERO_UUID!r}, name='a')"
    with pytest.raises(TypeError):
        hash(topic)


def test_arrays_are_not_shared_between_messages() -> None:
    FetchRequest().topics.append(FetchRequest.FetchTopic())
    assert FetchRequest().topics == []


def test_error_codes_are_numbers_on_the_wire() -> None:
    response = FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    assert decode(FetchResponse, 12, encode_bytes(response, 12)).error_code == 70

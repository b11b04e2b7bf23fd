"""What a producer is told, over real sockets: which code, on which partition, and when.

Each refusal stands between two batches that are accepted, so that a code on the wrong partition, or one that spoils
the others, shows.
"""

from __future__ import annotations

from typing import Any

import pytest

from logd.handlers import produce
from protocol.compression import Codec
from protocol.errors import ErrorCode
from protocol.messages.produce import ProduceRequest
from protocol.record_builder import build_batch
from protocol.records import HEADER, Record, read_header, set_crc
from protocol.types import Buffer
from replication.metadata_commands import CreateTopics, NewTopic
from tests.support.logs import NOW_MS, make_batch
from tests.support.node import (
    Node,
    play,
    produce_request,
    produced,
)
from tests.support.node_talk import (
    BY_NAME,
    UNKNOWN_ID,
    codes,
    send,
)

CODE = ErrorCode
BY_ID = 13
VERSIONS = range(3, 14)


def altered(batch: bytearray, **fields: int) -> bytearray:
    HEADER.pack_into(batch, 0, *read_header(batch)._replace(**fields))
    set_crc(batch)
    return batch


def old_format(magic: int, attributes: int = 0) -> bytearray:
    """A message set as clients of long ago sent it; whatever a v2 header has where it has something else."""
    batch = make_batch(3)
    batch[16] = magic
    batch[22] = attributes
    return batch


# -- where codes land ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_every_partition_has_its_own_answer_in_the_order_asked_for(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        first: str | bytes = (await client.create_topic("first", partitions=2)).topic_id
        second: str | bytes = (await client.create_topic("second")).topic_id
        unknown: str | bytes = UNKNOWN_ID
        if version < BY_ID:
            first, second, unknown = "first", "second", "unknown"
        request = produce_request(
            {
                (second, 0): make_batch(2),
                (unknown, 0): make_batch(),
                (unknown, 1): make_batch(),
                (first, 1): make_batch(3),
                (first, 7): make_batch(),
                (first, -1): make_batch(),
                (first, 0): make_batch(4),
            }
        )
        response = await client.call(request, version=version)
        assert [topic.topic_id if version >= BY_ID else topic.name for topic in response.responses] == [
            second,
            unknown,
            first,
        ]
        assert [answer.index for answer in produced(response)] == [0, 0, 1, 1, 7, -1, 0]
        absent = CODE.UNKNOWN_TOPIC_ID if version >= BY_ID else CODE.UNKNOWN_TOPIC_OR_PARTITION
        nowhere = CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert codes(response) == [0, absent, absent, 0, nowhere, nowhere, 0]
        log_starts = [answer.log_start_offset for answer in produced(response)]
        if version >= 5:
            assert log_starts == [0, -1, -1, 0, -1, -1, 0]
        assert [answer.base_offset for answer in produced(response)] == [0, -1, -1, 0, -1, -1, 0]
        assert [
            node.partition(*at).log.log_end_offset for at in (("first", 0), ("first", 1), ("second", 0))
        ] == [
            4,
            3,
            2,
        ]

    play(scenario)


REFUSED = [
    pytest.param(None, CODE.INVALID_RECORD, id="null"),
    pytest.param(b"", CODE.INVALID_RECORD, id="no batch"),
    pytest.param(make_batch() + make_batch(), CODE.INVALID_RECORD, id="two batches"),
    pytest.param(make_batch()[:-1], CODE.INVALID_RECORD, id="cut"),
    pytest.param(old_format(0), CODE.INVALID_RECORD, id="format 0"),
    pytest.param(old_format(1), CODE.INVALID_RECORD, id="format 1"),
    pytest.param(old_format(1, 0x10), CODE.INVALID_RECORD, id="format 1 that looks transactional"),
    pytest.param(old_format(3), CODE.INVALID_RECORD, id="format 3"),
    pytest.param(make_batch()[:60], CODE.CORRUPT_MESSAGE, id="shorter than a header"),
    pytest.param(make_batch()[:-1] + b"\1", CODE.CORRUPT_MESSAGE, id="checksum"),
    pytest.param(altered(make_batch(), base_offset=1), CODE.INVALID_RECORD, id="base offset"),
    pytest.param(altered(make_batch(2), record_count=3), CODE.INVALID_RECORD, id="count"),
    pytest.param(altered(make_batch(), record_count=0), CODE.INVALID_RECORD, id="no records"),
    pytest.param(altered(make_batch(), attributes=0x20), CODE.INVALID_RECORD, id="control"),
    pytest.param(altered(make_batch(), attributes=5), CODE.UNSUPPORTED_COMPRESSION_TYPE, id="codec 5"),
    pytest.param(altered(make_batch(), producer_id=5), CODE.INVALID_RECORD, id="no sequence"),
    pytest.param(
        altered(make_batch(), attributes=8, max_timestamp=-1), CODE.INVALID_TIMESTAMP, id="claims append time"
    ),
    pytest.param(make_batch(size=1_048_589), CODE.MESSAGE_TOO_LARGE, id="too large"),
    pytest.param(make_batch(timestamp_ms=NOW_MS + 3_600_001), CODE.INVALID_TIMESTAMP, id="from the future"),
    pytest.param(
        make_batch(producer_id=1, producer_epoch=0, base_sequence=30),
        CODE.OUT_OF_ORDER_SEQUENCE_NUMBER,
        id="sequence",
    ),
]


@pytest.mark.parametrize("version", [3, BY_NAME])
@pytest.mark.parametrize(("batch", "code"), REFUSED)
def test_a_refused_batch_leaves_the_others_alone(batch: Buffer | None, code: ErrorCode, version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=3)
        if batch is not None and len(batch) >= 61 and batch[43:51] == b"\0" * 7 + b"\1":
            # A producer that is known here, so that its sequence matters.
            await send(client, make_batch(producer_id=1, producer_epoch=0, base_sequence=0), index=1)
        end = node.partition("t", 1).log.log_end_offset
        request = produce_request({("t", 0): make_batch(), ("t", 1): batch, ("t", 2): make_batch()})
        for number in range(3):  # once refused, always refused
            response = await client.call(request, version=version)
            assert codes(response) == [0, code, 0]
            refused = produced(response)[1]
            assert (refused.base_offset, refused.log_append_time_ms, refused.log_start_offset) == (-1, -1, -1)
            assert [answer.base_offset for answer in produced(response)] == [number, -1, number]
            assert node.partition("t", 1).log.log_end_offset == end

    play(scenario)


@pytest.mark.parametrize(("batch", "code"), REFUSED)
def test_a_refusal_repeats_over_the_short_way(batch: Buffer | None, code: ErrorCode) -> None:
    """A request that looks like the last accepted one but for its records."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        for number in range(3):
            producer = make_batch(producer_id=1, producer_epoch=0, base_sequence=number)
            assert (await send(client, producer)).base_offset == number
        answer = await send(client, batch)
        assert (answer.error_code, answer.base_offset) == (code, -1)
        assert (await send(client, make_batch())).base_offset == 3

    play(scenario)


@pytest.mark.parametrize("acks", [2, -2, 5, 32767])
def test_other_acks_are_refused_every_time(acks: int) -> None:
    """The short way once took the second of two equal requests of which the first was refused."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        for _ in range(3):
            answer = await send(client, make_batch(), acks=acks)
            assert (answer.error_code, answer.base_offset) == (CODE.INVALID_REQUIRED_ACKS, -1)
        request = produce_request({("t", 0): make_batch(), ("t", 1): make_batch()}, acks=acks)
        assert codes(await client.call(request, version=3)) == [CODE.INVALID_REQUIRED_ACKS] * 2
        assert node.partition("t").log.log_end_offset == 0

    play(scenario)


@pytest.mark.parametrize("version", [BY_NAME, BY_ID])
def test_internal_topics_are_written_by_tools_only(version: int) -> None:
    """The short way once took the second of two equal requests of which the first was refused."""

    async def scenario(node: Node) -> None:
        command = CreateTopics([NewTopic("__consumer_offsets", 1, 1)])
        ((created),) = await node.broker.metadata.submit(command)
        topic: Any = created.topic_id if version >= BY_ID else created.name
        client, tool = await node.client(), await node.client("__admin_client")
        for _ in range(3):
            answer = await send(client, make_batch(), topic=topic, version=version)
            assert (answer.error_code, answer.base_offset) == (CODE.INVALID_TOPIC_EXCEPTION, -1)
        for number in range(3):
            assert (await send(tool, make_batch(), topic=topic, version=version)).base_offset == number

    play(scenario)


def test_zstd_needs_version_seven() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        batch = build_batch([Record(0, NOW_MS, None, b"v")], codec=Codec.ZSTD)
        for version in VERSIONS[:-1]:
            answer = await send(client, batch, version=version)
            assert answer.error_code == (CODE.UNSUPPORTED_COMPRESSION_TYPE if version < 7 else 0)

    play(scenario)


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_records_are_named_where_the_version_can_say_it(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"cleanup.policy": "compact"})
        keys = [b"a", None, b"b", None]
        batch = build_batch([Record(index, NOW_MS, key, b"v") for index, key in enumerate(keys)])
        answer = await send(client, batch, version=version)
        assert answer.error_code == CODE.INVALID_RECORD
        named = [row.batch_index for row in answer.record_errors]
        if version < 8:
            assert (named, answer.error_message) == ([], None)
        else:
            assert named == [1, 3]
            assert answer.error_message and all(row.batch_index_error_message for row in answer.record_errors)

    play(scenario)


def test_who_may_not_write_is_told_so_for_each_topic() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("mine")
        await client.create_topic("theirs", partitions=2)
        node.broker.authorise = lambda _context, _operation, _kind, name: name == "mine"
        request = produce_request(
            {("theirs", 0): make_batch(), ("theirs", 1): make_batch(), ("mine", 0): make_batch()}
        )
        denied = CODE.TOPIC_AUTHORIZATION_FAILED
        assert codes(await client.call(request, version=BY_NAME)) == [denied, denied, 0]
        # The short way asks, too.
        assert (await send(client, make_batch(), topic="mine")).error_code == 0
        node.broker.authorise = lambda *_: False
        assert (await send(client, make_batch(), topic="mine")).error_code == denied
        assert node.partition("mine").log.log_end_offset == 2

    play(scenario)


def test_a_partition_that_another_node_leads() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        for _ in range(2):
            assert (await send(client, make_batch())).error_code == 0
        node.partition("t").resign(leader_id=2, leader_epoch=1, partition_epoch=1)
        assert (await send(client, make_batch())).error_code == CODE.NOT_LEADER_OR_FOLLOWER
        request = produce_request({("t", 0): make_batch(), ("t", 1): make_batch()})
        assert codes(await client.call(request, version=BY_NAME)) == [CODE.NOT_LEADER_OR_FOLLOWER, 0]

    play(scenario)


@pytest.mark.parametrize(("acks", "code"), [(-1, CODE.NOT_ENOUGH_REPLICAS), (1, CODE.NONE)])
def test_too_few_replicas_in_sync(acks: int, code: ErrorCode) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"min.insync.replicas": "2"})
        assert (await send(client, make_batch())).error_code == 0  # one replica is all there is
        partition = node.partition("t")
        partition.become_leader(
            leader_epoch=0, partition_epoch=1, assigned_replicas=(1, 2), in_sync_replicas=(1,)
        )
        for _ in range(2):
            assert (await send(client, make_batch(), acks=acks)).error_code == code
        assert partition.log.log_end_offset == (3 if code is CODE.NONE else 1)

    play(scenario)


# -- answers ------------------------------------------------------------------------------------------------------


def test_a_request_without_topics_has_an_empty_answer() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        response = await client.call(ProduceRequest(acks=-1, timeout_ms=1000), version=BY_NAME)
        assert response.responses == []

    play(scenario)


@pytest.mark.parametrize("version", [3, 8, BY_NAME, BY_ID])
def test_a_duplicate_is_told_the_original_offsets(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        topic: Any = (await client.create_topic("t")).topic_id if version >= BY_ID else None
        topic = topic or (await client.create_topic("t")).name
        batches = [
            make_batch(2, producer_id=9, producer_epoch=0, base_sequence=sequence)
            for sequence in (0, 2, 4, 6, 8)
        ]
        for _ in range(2):
            offsets = [
                (await send(client, bytes(batch), topic=topic, version=version)).base_offset
                for batch in batches
            ]
            assert offsets == [0, 2, 4, 6, 8]
        assert node.partition("t").log.log_end_offset == 10
        fenced = make_batch(producer_id=9, producer_epoch=1, base_sequence=0)
        assert (await send(client, fenced, topic=topic, version=version)).base_offset == 10
        answer = await send(client, bytes(batches[-1]), topic=topic, version=version)
        assert answer.error_code == CODE.INVALID_PRODUCER_EPOCH

    play(scenario)


@pytest.mark.parametrize("version", [3, 8, BY_NAME])
def test_append_time_is_in_the_answer(version: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"message.timestamp.type": "LogAppendTime"})
        await client.create_topic("own")
        for number in range(3):  # the last ones over the short way
            node.clock.now_ms += 1
            answer = await send(client, make_batch(2, timestamp_ms=5), version=version)
            assert (answer.base_offset, answer.log_append_time_ms) == (2 * number, node.clock.now_ms)
            answer = await send(client, make_batch(2), topic="own", version=version)
            assert (answer.base_offset, answer.log_append_time_ms) == (2 * number, -1)

    play(scenario)


def test_requests_that_alternate_are_told_apart() -> None:
    """The short way compares with the last request only: every change of topic, acks or version counts."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        ids = {name: (await client.create_topic(name, partitions=2)).topic_id for name in ("aa", "ab")}
        ends = dict.fromkeys([(name, index) for name in ids for index in (0, 1)], 0)
        for _ in range(4):
            for name, index in ends:
                for version, acks in ((BY_NAME, -1), (BY_ID, -1), (9, 1), (3, 1)):
                    topic: Any = ids[name] if version >= BY_ID else name
                    for count in (1, 2, 300):
                        answer = await send(
                            client, make_batch(count), topic=topic, index=index, version=version, acks=acks
                        )
                        assert (answer.index, answer.error_code, answer.base_offset) == (
                            index,
                            0,
                            ends[name, index],
                        )
                        ends[name, index] += count
        for (name, index), end in ends.items():
            assert node.partition(name, index).log.log_end_offset == end

    play(scenario)


@pytest.mark.parametrize("version", [9, BY_NAME, BY_ID])
def test_one_short_way_leads_to_every_partition_of_a_topic(
    version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary: list[int] = []
    inquiry_of = produce.inquiry_of

    def counted(*arguments: Any) -> Any:
        ordinary.append(arguments[1].topic_data[0].partition_data[0].index)
        return inquiry_of(*arguments)

    monkeypatch.setattr(produce, "inquiry_of", counted)

    async def scenario(node: Node) -> None:
        client = await node.client()
        topic_id = (await client.create_topic("t", partitions=3)).topic_id
        topic: Any = topic_id if version >= BY_ID else "t"

        async def produce_to(index: int) -> tuple[int, ErrorCode, int]:
            answer = await send(client, make_batch(index + 2), topic=topic, index=index, version=version)
            return answer.index, ErrorCode(answer.error_code), answer.base_offset

        for number in range(4):
            for index in (2, 0, 1):
                assert await produce_to(index) == (index, CODE.NONE, number * (index + 2))
        assert ordinary == [2]
        for index in (3, -1):
            assert await produce_to(index) == (index, CODE.UNKNOWN_TOPIC_OR_PARTITION, -1)
        assert ordinary == [2, 3, -1]
        for index in range(3):
            assert await produce_to(index) == (index, CODE.NONE, 4 * (index + 2))
            assert node.partition("t", index).log.log_end_offset == 5 * (index + 2)
        assert ordinary == [2, 3, -1]

    play(scenario)

"""What a producer is told, over real sockets: which code, on which partition, and when.

Each refusal stands between two batches that are accepted, so that a code on the wrong partition, or one that spoils
the others, shows.
"""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from logd.client import Client
from protocol.codec import encode_bytes
from protocol.compression import Codec
from protocol.errors import ErrorCode
from protocol.messages.delete_topics import DeleteTopicsRequest
from protocol.messages.produce import ProduceRequest, ProduceResponse
from protocol.record_builder import build_batch
from protocol.records import HEADER, Record, read_header, set_crc
from protocol.types import Buffer
from replication.metadata_commands import CreateTopics, NewTopic
from storage.fs_faulty import FaultyFileSystem, Kind
from tests.support.logs import NOW_MS, make_batch
from tests.support.node import (
    Disk,
    Node,
    a_while,
    eventually,
    fetch_request,
    fetched,
    header,
    offsets_in,
    play,
    produce_request,
    produced,
    wanted,
)

CODE = ErrorCode
BY_NAME, BY_ID = 12, 13
VERSIONS = range(3, 14)
UNKNOWN_ID = bytes(range(16))

Answer = ProduceResponse.PartitionProduceResponse


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


async def send(
    client: Client,
    batch: Buffer | None,
    *,
    topic: str = "t",
    index: int = 0,
    version: int = BY_NAME,
    **fields: Any,
) -> Answer:
    response = await client.call(produce_request({(topic, index): batch}, **fields), version=version)
    (answer,) = produced(response)
    return answer


def codes(response: ProduceResponse) -> list[ErrorCode]:
    return [ErrorCode(answer.error_code) for answer in produced(response)]


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
        make_batch(transactional=True, producer_id=1, producer_epoch=0, base_sequence=0),
        CODE.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        id="transactional without id",
    ),
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


def test_transactional_data_is_refused_while_nobody_coordinates_transactions() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        batch = make_batch(transactional=True, producer_id=1, producer_epoch=0, base_sequence=0)
        for _ in range(3):
            answer = await send(client, batch, transactional_id="x")
            assert answer.error_code == CODE.INVALID_TXN_STATE
        assert node.partition("t").log.log_end_offset == 0
        # A transactional producer's plain batches are no reason to refuse it, nor a way around.
        assert (await send(client, make_batch(), transactional_id="x")).error_code == 0
        assert (await send(client, batch, transactional_id="x")).error_code == CODE.INVALID_TXN_STATE

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
    """The short way compares with the last request only: every change of topic, partition, acks or version counts."""

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


# -- acks ---------------------------------------------------------------------------------------------------------


def raw_produce(correlation_id: int, batch: Buffer, *, acks: int, index: int = 0) -> bytes:
    body = encode_bytes(produce_request({("t", index): batch}, acks=acks), BY_NAME)
    return header(0, BY_NAME, correlation_id, flexible=True) + body


def test_acks_zero_is_not_answered() -> None:
    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t")
        frames = [raw_produce(number, make_batch(), acks=number % 2) for number in range(9)]
        peer.send(*frames)
        assert [int.from_bytes((await peer.answer())[:4], "big") for _ in range(4)] == [1, 3, 5, 7]
        await eventually(lambda: node.partition("t").log.log_end_offset == 9)

    play(scenario)


@pytest.mark.parametrize("before", [0, 3])
def test_a_refusal_with_acks_zero_ends_the_connection_unanswered(before: int) -> None:
    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t")
        bad = make_batch()[:-1] + b"\1"
        peer.send(
            *[raw_produce(number, make_batch(), acks=0) for number in range(before)],
            raw_produce(50, make_batch(), acks=1),
            raw_produce(51, bad, acks=0),
            raw_produce(52, make_batch(), acks=1),
        )
        assert int.from_bytes((await peer.answer())[:4], "big") == 50
        assert await peer.at_end()
        assert node.partition("t").log.log_end_offset == before + 1

    play(scenario)


def test_acks_zero_to_an_unknown_partition_ends_the_connection_and_the_others_are_written() -> None:
    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t", partitions=2)
        request = produce_request(
            {("t", 0): make_batch(), ("t", 9): make_batch(), ("t", 1): make_batch()}, acks=0
        )
        peer.send(header(0, 9, 1, flexible=True) + encode_bytes(request, 9))
        assert await peer.at_end()
        assert [node.partition("t", index).log.log_end_offset for index in (0, 1)] == [1, 1]

    play(scenario)


def test_acks_all_waits_for_the_high_watermark_and_acks_one_does_not() -> None:
    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await client.create_topic("t", partitions=2)
        await send(client, make_batch(5))
        follower_has = node.hold_high_watermark("t")
        assert (await send(other, make_batch(), acks=1)).base_offset == 5
        first = asyncio.ensure_future(send(client, make_batch(2)))
        both = produce_request({("t", 0): make_batch(3), ("t", 1): make_batch()})
        second = asyncio.ensure_future(client.call(both, version=BY_NAME))
        await eventually(lambda: len(node.broker.delayed) == 2)
        follower_has(7)
        await a_while()
        assert not first.done()
        follower_has(8)
        assert (await first).base_offset == 6
        assert not second.done()
        follower_has(11)
        assert [answer.base_offset for answer in produced(await second)] == [8, 0]
        assert len(node.broker.delayed) == 0

    play(scenario)


def test_what_is_not_replicated_in_time_has_timed_out_and_stays_in_the_log() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        follower_has = node.hold_high_watermark("t", 1)
        for timeout_ms in (0, 30, -5):
            request = produce_request({("t", 0): make_batch(), ("t", 1): make_batch()}, timeout_ms=timeout_ms)
            response = await client.call(request, version=BY_NAME)
            assert codes(response) == [0, CODE.REQUEST_TIMED_OUT]
            assert produced(response)[1].base_offset == -1
        assert len(node.broker.delayed) == 0
        assert node.partition("t", 1).log.log_end_offset == 3
        follower_has(3)
        answer = await send(client, make_batch(), index=1, acks=1)
        assert (answer.error_code, answer.base_offset) == (0, 3)

    play(scenario)


def test_the_short_way_times_out_by_the_requests_own_time() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        for _ in range(2):
            assert (await send(client, make_batch(), timeout_ms=40)).error_code == 0
        node.hold_high_watermark("t")
        assert (await send(client, make_batch(), timeout_ms=40)).error_code == CODE.REQUEST_TIMED_OUT

    play(scenario)


def test_replicas_lost_while_waiting() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"min.insync.replicas": "2"})
        node.hold_high_watermark("t")
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await eventually(lambda: len(node.broker.delayed) == 1)
        partition = node.partition("t")
        partition.become_leader(
            leader_epoch=0, partition_epoch=1, assigned_replicas=(1, 2), in_sync_replicas=(1,)
        )
        node.broker.delayed.partition_moved(partition)
        assert (await waiting).error_code == CODE.NOT_ENOUGH_REPLICAS_AFTER_APPEND

    play(scenario)


def test_a_topic_deleted_while_its_producer_waits() -> None:
    async def scenario(node: Node) -> None:
        client, admin = await node.client(), await node.client()
        topic = await client.create_topic("t")
        node.hold_high_watermark("t")
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await eventually(lambda: len(node.broker.delayed) == 1)
        await delete_topic(admin, topic.topic_id)
        answer = await waiting
        assert (answer.error_code, answer.base_offset) == (CODE.UNKNOWN_TOPIC_OR_PARTITION, -1)
        assert (await send(client, make_batch())).error_code == CODE.UNKNOWN_TOPIC_OR_PARTITION
        assert len(node.broker.delayed) == 0

    play(scenario)


async def delete_topic(client: Client, topic_id: bytes) -> None:
    state = DeleteTopicsRequest.DeleteTopicState(name=None, topic_id=topic_id)
    response = await client.call(DeleteTopicsRequest(topics=[state], timeout_ms=10_000))
    assert response.responses[0].error_code == 0


def test_a_topic_made_again_under_its_name_is_written_from_zero() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        old = await client.create_topic("t")
        for number in range(3):
            assert (await send(client, make_batch())).base_offset == number
        await delete_topic(client, old.topic_id)
        new = await client.create_topic("t")
        assert (await send(client, make_batch())).base_offset == 0
        answer = await send(client, make_batch(), topic=old.topic_id, version=BY_ID)  # type: ignore[arg-type]
        assert answer.error_code == CODE.UNKNOWN_TOPIC_ID
        answer = await send(client, make_batch(), topic=new.topic_id, version=BY_ID)  # type: ignore[arg-type]
        assert answer.base_offset == 1

    play(scenario)


def test_a_bug_met_when_the_wait_is_over_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It once left the client waiting for ever."""

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        follower_has = node.hold_high_watermark("t")
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await eventually(lambda: len(node.broker.delayed) == 1)

        def fail(*_: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr("logd.context.encode", fail)
        follower_has(1)
        with pytest.raises(ConnectionError):
            await waiting
        assert len(node.broker.delayed) == 0

    play(scenario)
    (record,) = [record for record in caplog.records if record.name == "logd.dispatch"]
    assert record.exc_info


# -- flush.messages -----------------------------------------------------------------------------------------------

EVERY_RECORD = {"flush.messages": "1"}
LOG_FILE = "/t-0/00000000000000000000.log"


@pytest.mark.parametrize("acks", [1, -1])
def test_an_acknowledgement_waits_for_the_flush_that_the_topic_demands(acks: int) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, reader = await node.client(), await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        disk.hold_syncs(LOG_FILE)
        for number in range(3):
            waiting = asyncio.ensure_future(send(client, make_batch(), acks=acks))
            await a_while()
            assert not waiting.done()
            assert node.partition("t").log.log_end_offset == number + 1
            (row,) = fetched(await reader.call(fetch_request(("t", wanted(0, number))), version=12))
            assert (row.high_watermark, offsets_in(row.records)) == (
                number,
                [],
            )  # nobody reads ahead of the disk
            disk.let_go()
            assert (await waiting).base_offset == number
            assert node.partition("t").log.recovery_point == number + 1
            disk.hold_syncs(LOG_FILE)
        disk.let_go()

    play(scenario, fs=disk.fs)


def test_acks_zero_is_flushed_as_well() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        await client.call(produce_request({("t", 0): make_batch()}, acks=0), version=BY_NAME)
        await eventually(lambda: node.partition("t").log.recovery_point == 1)

    play(scenario, fs=disk.fs)


def test_producers_share_flushes() -> None:
    """Whoever appends while a flush is under way is served by the next one: 40 producers, two flushes."""
    disk = Disk(FaultyFileSystem())
    producers, ended = 40, []

    async def scenario(node: Node) -> None:
        clients = [await node.client() for _ in range(producers)]
        await clients[0].create_topic("t", configs=EVERY_RECORD)
        await send(clients[0], make_batch())
        before = disk.count_syncs(LOG_FILE)
        disk.hold_syncs(LOG_FILE)

        async def produce(client: Client, number: int) -> None:
            assert (await send(client, make_batch(), acks=-1 if number % 2 else 1)).error_code == 0
            ended.append(number)

        first = asyncio.ensure_future(produce(clients[0], 0))
        await eventually(lambda: node.broker.flusher.busy)
        rest = [
            asyncio.ensure_future(produce(client, number)) for number, client in enumerate(clients[1:], 1)
        ]
        log = node.partition("t").log
        await eventually(lambda: log.log_end_offset == producers + 1)
        assert not ended
        disk.let_go()
        await asyncio.gather(first, *rest)
        assert ended[0] == 0
        assert disk.count_syncs(LOG_FILE) == before + 2
        assert log.recovery_point == producers + 1

    play(scenario, fs=disk.fs)


def test_one_client_is_answered_in_order_although_only_some_of_it_waits() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, peer = await node.client(), await node.peer()
        await client.create_topic("t", configs=EVERY_RECORD)
        disk.hold_syncs(LOG_FILE)
        peer.send(raw_produce(1, make_batch(), acks=1), raw_produce(2, make_batch(), acks=1, index=5))
        await eventually(lambda: node.partition("t").log.log_end_offset == 1)
        await a_while()
        disk.let_go()
        answers = [await peer.answer() for _ in range(2)]
        assert [int.from_bytes(answer[:4], "big") for answer in answers] == [1, 2]

    play(scenario, fs=disk.fs)


@pytest.mark.parametrize("acks", [1, -1])
def test_after_a_failed_flush_nothing_is_acknowledged(acks: int, caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, other = await node.client(), await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        assert (await send(client, make_batch(), acks=acks)).error_code == 0
        disk.hold_syncs(LOG_FILE)
        disk.fail(Kind.SYNC, LOG_FILE, errno.EIO)
        waiting = [asyncio.ensure_future(send(each, make_batch(), acks=acks)) for each in (client, other)]
        await eventually(lambda: node.partition("t").log.log_end_offset == 3)
        disk.let_go()
        for answer in await asyncio.gather(*waiting):
            assert (answer.error_code, answer.base_offset) == (CODE.KAFKA_STORAGE_ERROR, -1)
        disk.heal()
        answer = await send(
            client, make_batch(), acks=acks
        )  # never tried again: what is on disk is not known
        assert answer.error_code == CODE.KAFKA_STORAGE_ERROR
        assert len(node.broker.delayed) == 0
        assert not node.broker.flusher.busy

    play(scenario, fs=disk.fs)
    offline = [record for record in caplog.records if "data directory offline" in record.getMessage()]
    assert len(offline) == 1


def test_a_flush_without_space_is_made_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The producers that waited for it once waited until their time was up."""
    monkeypatch.setattr("logd.housekeeping._TICK_S", 0.005)
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs=EVERY_RECORD)
        disk.fail(Kind.CREATE, "leader-epoch-checkpoint", errno.ENOSPC)  # a part of the first flush
        waiting = asyncio.ensure_future(send(client, make_batch()))
        await a_while()
        assert not waiting.done()
        disk.heal()
        answer = await waiting
        assert (answer.error_code, answer.base_offset) == (0, 0)

    play(scenario, fs=disk.fs)


# -- disks that fail ----------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", partitions=2)
        for _ in range(2):
            assert (await send(client, make_batch())).error_code == 0
        disk.fail(Kind.WRITE, LOG_FILE, errno.ENOSPC)
        for _ in range(2):
            answer = await send(client, make_batch())
            assert (answer.error_code, answer.base_offset) == (CODE.KAFKA_STORAGE_ERROR, -1)
        assert (await send(client, make_batch(), index=1)).error_code == 0
        (row,) = fetched(await client.call(fetch_request(("t", wanted(0, 0))), version=12))
        assert offsets_in(row.records) == [0, 1]
        disk.heal()
        assert (await send(client, make_batch())).base_offset == 2

    play(scenario, fs=disk.fs)
    assert not [record for record in caplog.records if "offline" in record.getMessage()]


def test_a_failed_write_takes_its_directory_offline_and_the_others_serve(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client, reader = await node.client(), await node.client()
        await client.create_topic("t", partitions=6)
        homes = {index: node.partition("t", index).log.directory.split("/")[1] for index in range(6)}
        assert sorted(homes.values()) == ["a"] * 3 + ["b"] * 3
        bad = [index for index in homes if homes[index] == "b"]
        good = [index for index in homes if homes[index] == "a"]
        for index in homes:
            assert (await send(client, make_batch(), index=index)).error_code == 0
        waiting = asyncio.ensure_future(
            reader.call(fetch_request(("t", wanted(bad[1], 1)), max_wait_ms=10_000), version=12)
        )
        await eventually(lambda: len(node.broker.delayed) == 1)
        disk.fail(Kind.WRITE, f"/b/t-{bad[0]}/", errno.EIO)
        request = produce_request({("t", index): make_batch() for index in homes})
        answers = produced(await client.call(request, version=BY_NAME))
        failed = {answer.index: answer.error_code for answer in answers}
        assert failed[bad[0]] == CODE.KAFKA_STORAGE_ERROR
        assert all(failed[index] == 0 for index in good)
        (row,) = fetched(await waiting)  # who waits for a partition beside it is told
        assert row.error_code == CODE.KAFKA_STORAGE_ERROR
        disk.heal()
        for index in bad:
            assert (await send(client, make_batch(), index=index)).error_code == CODE.KAFKA_STORAGE_ERROR
        for index in good:
            assert (await send(client, make_batch(), index=index)).base_offset == 2

    play(scenario, "log.dirs=/a,/b", fs=disk.fs)
    offline = [record for record in caplog.records if "data directory offline" in record.getMessage()]
    assert len(offline) == 1


def test_a_failing_disk_does_not_mix_up_the_requests_of_two_clients() -> None:
    """All connections share one receive buffer. A partition that went offline in the middle of one client's turn once
    had another's requests taken up there, over the first one's.
    """
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        admin, peer = await node.client(), await node.peer()
        await admin.create_topic("t", partitions=3)
        # A client with as many requests in flight as one may have, and more behind them.
        body = encode_bytes(fetch_request(("t", wanted(1, 0)), max_wait_ms=10_000), BY_NAME)
        crowd = await node.peer()
        count = 80
        crowd.send(
            *[header(1, BY_NAME, number, b"crowd" * 20, flexible=True) + body for number in range(count)]
        )
        await eventually(lambda: len(node.broker.delayed) == 64)
        disk.fail(Kind.WRITE, "/t-0/", errno.EIO)
        peer.send(
            *[raw_produce(number, make_batch(), acks=1) for number in range(3)],
            *[raw_produce(number, make_batch(), acks=1, index=9) for number in range(3, 6)],
        )
        answers = [await peer.answer() for _ in range(6)]
        assert [int.from_bytes(answer[:4], "big") for answer in answers] == list(range(6))
        answers = [await crowd.answer() for _ in range(count)]
        assert [int.from_bytes(answer[:4], "big") for answer in answers] == list(range(count))

    play(scenario, fs=disk.fs)

"""Compaction on request: what is compacted though it need not be, who waits for what, and what is refused.

Method: a node in this process whose cleaner would by itself do nothing (min.cleanable.dirty.ratio=1), asked through
APIs of logd's own, as `logd topic compact` asks.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logd.cli import topic_compact
from logd.clients.client import Client
from logd.clients.cluster_client import ClusterClient
from logd.compaction.asked_passes import AskedPasses
from protocol.compaction_state import CompactionState
from protocol.configs import ConfigResourceType
from protocol.errors import ErrorCode
from protocol.messages.compact_partitions import CompactPartitionsRequest
from protocol.messages.describe_compaction import DescribeCompactionRequest, DescribeCompactionResponse
from protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from protocol.record_builder import build_batch
from protocol.records import HEADER_SIZE, Record, set_crc
from protocol.types import TopicPartition
from storage.fs.faulty import FaultyFileSystem, Kind
from storage.fs.real import RealFileSystem
from tests.support.node import Disk, Node, a_while, play
from tests.support.node_talk import delete_topic
from tests.unit.logd.compaction.test_cleaner import COMPACTED, batch, play_on_disk, rows
from tests.unit.logd.compaction.test_cleaner import fill as fill_compacted

LAZY = {"min.cleanable.dirty.ratio": "1"}


async def fill(node: Node, rounds: int = 10, **configs: str) -> Client:
    return await fill_compacted(node, rounds, **(LAZY | configs))


async def ask(client: Client, *indexes: int, topic: str = "t") -> Any:
    """What is said of partition 0, or of those `indexes`."""
    wanted = CompactPartitionsRequest.CompactableTopic(name=topic, partitions=list(indexes or (0,)))
    response = await client.call(CompactPartitionsRequest(topics=[wanted]))
    found = response.topics[0].partitions
    return found if indexes else found[0]


async def described(client: Client, topic: str = "t") -> DescribeCompactionResponse.DescribedPartition:
    wanted = DescribeCompactionRequest.DescribableTopic(name=topic, partitions=[0])
    response: DescribeCompactionResponse = await client.call(DescribeCompactionRequest(topics=[wanted]))
    return response.topics[0].partitions[0]


def cleanup_by_deleting(topic: str) -> IncrementalAlterConfigsRequest:
    asked = IncrementalAlterConfigsRequest
    change = asked.AlterableConfig(name="cleanup.policy", config_operation=0, value="delete")
    resource = asked.AlterConfigsResource(
        resource_type=ConfigResourceType.TOPIC, resource_name=topic, configs=[change]
    )
    return asked(resources=[resource])


async def ended(
    client: Client, ticket: int, topic: str = "t"
) -> DescribeCompactionResponse.DescribedPartition:
    """What is said of the partition once the pass with the ticket has ended."""
    async with asyncio.timeout(20):
        while (row := await described(client, topic)).ended_ticket < ticket:
            await asyncio.sleep(0.002)
    return row


def test_all_that_is_there_is_compacted_the_active_segment_too() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node)
        before = await described(client)
        assert (before.cleaned_to, before.clean_bytes, before.ended_ticket) == (-1, 0, -1)
        await a_while()
        assert len(rows(node)) == 30
        asked = await ask(client)
        row = await ended(client, asked.ticket)
        assert rows(node) == [(key, b"value 9") for key in (b"a", b"b", b"c")]
        assert (row.cleaned_to, row.dirty_bytes, row.ended_error, row.state) == (30, 0, None, 0)
        assert row.bytes_after == row.clean_bytes == node.partition("t").log.size_bytes
        assert row.bytes_before > 5 * row.bytes_after
        assert node.partition("t").log.log_end_offset == 30

    play(scenario)


def test_a_log_with_nothing_dirty_is_gone_through_for_its_tombstones() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node, 2)
        await client.produce("t", 0, batch(b"a", None, node))
        await ended(client, (await ask(client)).ticket)
        assert (b"a", None) in rows(node)
        node.clock.now_ms += 60_001  # delete.retention.ms
        await ended(client, (await ask(client)).ticket)
        assert [key for key, _ in rows(node)] == [b"b", b"c"]

    play(scenario)


def test_a_memory_that_does_not_hold_all_keys_takes_several_passes() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs=COMPACTED | LAZY)
        for number in range(90):
            await client.produce("t", 0, batch(b"key %d" % (number % 45), b"%d" % number, node))
        row = await ended(client, (await ask(client)).ticket)
        assert row.cleaned_to == 90
        assert dict(rows(node)) == {b"key %d" % (number - 45): b"%d" % number for number in range(45, 90)}
        assert len(rows(node)) == 45

    play(scenario, "log.cleaner.dedupe.buffer.size=600")


def test_what_keeps_records_from_a_pass_keeps_them_from_this_one() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node, 10, **{"min.compaction.lag.ms": "1000"})
        row = await ended(client, (await ask(client)).ticket)
        assert (row.cleaned_to, row.bytes_after) == (0, row.bytes_before)
        assert len(rows(node)) == 30
        node.clock.now_ms += 1001
        row = await ended(client, (await ask(client)).ticket)
        assert (row.cleaned_to, len(rows(node))) == (30, 3)

    play(scenario)


def test_who_asks_while_another_waits_shares_its_pass_and_later_gets_the_next() -> None:
    async def scenario(node: Node) -> None:
        assert isinstance(node.fs, FaultyFileSystem)
        client = await fill(node)
        disk = Disk(node.fs)
        disk.hold(Kind.SYNC, "/t-0/")
        first = await ask(client)
        assert (await described(client)).state == CompactionState.WAITING
        second = await ask(client)
        assert second.ticket == first.ticket
        disk.let_go()
        await ended(client, first.ticket)
        third = await ask(client)
        assert third.ticket > first.ticket
        await ended(client, third.ticket)

    play(scenario)


def test_a_topic_that_is_not_compacted_any_more_keeps_what_it_has() -> None:
    async def scenario(node: Node) -> None:
        assert isinstance(node.fs, FaultyFileSystem)
        client = await fill(node)
        disk = Disk(node.fs)
        disk.hold(Kind.SYNC, "/t-0/")
        assert (await ask(client)).error_code == ErrorCode.NONE
        await client.call(cleanup_by_deleting("t"))
        disk.let_go()
        await a_while()
        assert len(rows(node)) == 30
        assert (await described(client)).error_code == ErrorCode.POLICY_VIOLATION

    play(scenario)


def test_a_command_whose_ticket_nobody_knows_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a restart of the broker between two looks."""

    async def scenario(node: Node) -> None:
        await fill(node)
        monkeypatch.setattr(AskedPasses, "due", lambda passes: passes._waiting.clear() or ())
        async with await ClusterClient.connect([("127.0.0.1", node.port)], timeout_s=5) as cluster:
            [outcome] = await topic_compact._compact(cluster, [TopicPartition("t", 0)])
        assert outcome.error is not None and "ask again" in str(outcome.error)

    play(scenario)


def test_progress_of_a_pass_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logd.compaction.cleaning_pass._POOL_BYTES_MAX", 0)

    async def scenario(node: Node) -> None:
        client = await fill(node, 20)
        asked = await ask(client)
        seen = []
        async with asyncio.timeout(60):
            while (row := await described(client)).ended_ticket < asked.ticket:
                if row.state == CompactionState.RUNNING and row.total_bytes:
                    seen.append(row.done_bytes)
                    assert 0 <= row.done_bytes <= row.total_bytes
                await asyncio.sleep(0.01)
        assert max(seen) > 0 and seen == sorted(seen)
        assert len(rows(node)) == 3

    # 60 batches of some 80 bytes, read twice: four seconds.
    play_on_disk(scenario, RealFileSystem(), tmp_path, "log.cleaner.io.max.bytes.per.second=2500")


@pytest.mark.parametrize(
    ("properties", "part"),
    [(["log.cleaner.enable=false"], "log.cleaner.enable=false"), (["log.cleaner.threads=0"], "threads=0")],
)
def test_a_node_that_does_not_compact_says_so(properties: list[str], part: str) -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node)
        row = await ask(client)
        assert (row.error_code, row.ticket) == (ErrorCode.POLICY_VIOLATION, -1)
        assert part in row.error_message
        assert len(node.partition("t").log.segments[-1:]) == 1 and len(rows(node)) == 30

    play(scenario, *properties)


def test_other_topics_and_what_is_not_there_are_refused() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node, 1, **{"cleanup.policy": "delete"})
        row = await ask(client)
        assert row.error_code == ErrorCode.POLICY_VIOLATION
        assert row.error_message == "topic t is not compacted: cleanup.policy=delete"
        assert (await described(client)).error_code == ErrorCode.POLICY_VIOLATION
        unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert [(each.partition_index, each.error_code) for each in await ask(client, 7, 8, 7)] == [
            (7, unknown),
            (8, unknown),
        ]
        assert (await ask(client, topic="no such")).error_code == unknown
        node.broker.authorise = lambda *_: False
        assert (await ask(client)).error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED
        assert (await described(client)).error_code == ErrorCode.TOPIC_AUTHORIZATION_FAILED

    play(scenario)


def test_a_topic_deleted_while_it_waits_is_unknown_and_its_successor_has_no_past() -> None:
    async def scenario(node: Node) -> None:
        client = await fill(node)
        assert isinstance(node.fs, FaultyFileSystem)
        await ended(client, (await ask(client)).ticket)
        disk = Disk(node.fs)
        await client.produce("t", 0, batch(b"a", b"1", node))
        disk.hold(Kind.SYNC, "/t-0/")
        await ask(client)
        await delete_topic(client, node.broker.metadata.image.topics["t"].topic_id)
        disk.let_go()
        assert (await described(client)).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        await fill(node, 1)
        row = await described(client)
        assert (row.state, row.ended_ticket, row.cleaned_to) == (CompactionState.IDLE, -1, -1)

    play(scenario)


def test_what_cannot_be_compacted_says_why_and_is_tried_again_on_request() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs=COMPACTED | LAZY | {"cleanup.policy": "delete"})
        garbage = build_batch([Record(0, node.clock.now_ms, b"key", b"value")])
        garbage[HEADER_SIZE:] = b"\xff" * (len(garbage) - HEADER_SIZE)
        set_crc(garbage)
        await client.produce("t", 0, bytes(garbage))
        log = node.partition("t").log
        log.configure(replace(log.config, cleanup_policy=frozenset({"compact", "delete"})))
        row = await ended(client, (await ask(client)).ticket)
        assert row.ended_error is not None and row.uncleanable == row.ended_error
        again = await ended(client, (await ask(client)).ticket)
        assert again.ended_ticket > row.ended_ticket and again.uncleanable == row.uncleanable
        node.partition("t").delete_records(1)
        node.broker._housekeeping._apply_retention(node.clock.now_ms)
        row = await ended(client, (await ask(client)).ticket)
        assert (row.ended_error, row.uncleanable, row.cleaned_to) == (None, None, 1)
        assert node.broker.cleaner.uncleanable == {}

    play(scenario)

"""Goal: a setting that may change while the broker runs takes effect without a restart. Method: for every property of
that kind, set on the topic or the cluster, something that a client or the disk shows is other than before.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from logd.clients.client import Client
from logd.config.broker_keys import BROKER_KEYS
from logd.config.topic_keys import TOPIC_KEYS
from protocol.compression import Codec
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.record_builder import build_batch
from protocol.records import CODEC_MASK, Record, read_header
from storage.fs.faulty import FaultyFileSystem, Loss
from tests.support.config_talk import APPEND, BROKER, SET, TOPIC, Talk
from tests.support.logs import make_batch
from tests.support.node import FOLLOWER, LONG_MS, Disk, Node, a_while, eventually, header, offsets_in, play
from tests.support.node_talk import append, ask_one, parked, send

Setter = Callable[[str], Awaitable[None]]
Check = Callable[[Node, Client, Setter], Awaitable[None]]

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS

# Set on the topic beforehand, where a property shows only together with another.
BESIDES = {
    "compression.gzip.level": {"compression.type": "gzip"},
    "compression.lz4.level": {"compression.type": "lz4"},
    "compression.zstd.level": {"compression.type": "zstd"},
    "log.retention.bytes": {"internal.segment.bytes": "200"},
    "log.segment.delete.delay.ms": {"internal.segment.bytes": "200", "retention.ms": "1"},
}
AT_START = ("log.retention.check.interval.ms=1",)
CLEANED_OFTEN = "log.cleaner.backoff.ms=5"
# What the broker starts with besides, so that a property shows.
STARTED_WITH = {
    "log.cleaner.threads": (CLEANED_OFTEN, "log.cleaner.threads=0"),
    "log.cleaner.min.cleanable.ratio": (CLEANED_OFTEN, "log.cleaner.min.cleanable.ratio=1"),
    "log.cleaner.min.compaction.lag.ms": (CLEANED_OFTEN,),
    "log.cleaner.max.compaction.lag.ms": (CLEANED_OFTEN, "log.cleaner.min.cleanable.ratio=1"),
}
COMPACTED = {"cleanup.policy": "compact", "internal.segment.bytes": "200"}


def log_of(node: Node) -> Any:
    return node.partition("t").log


async def write(client: Client, *, count: int = 1, **fields: Any) -> None:
    for _ in range(count):
        await append(client, **fields)


def segments(node: Node) -> int:
    return len(log_of(node).segments)


# -- one for each property -------------------------------------------------------------------------------------------


async def check_segment_bytes(node: Node, client: Client, change: Setter) -> None:
    await write(client, count=3, size=500_000)
    assert segments(node) == 1
    await change("1048576")
    await write(client, size=500_000)
    assert segments(node) == 2


async def check_roll_ms(node: Node, client: Client, change: Setter) -> None:
    await write(client)
    node.clock.now_ms += DAY_MS
    await write(client, timestamp_ms=node.clock.now_ms)
    assert segments(node) == 1
    await change(str(DAY_MS))
    node.clock.now_ms += DAY_MS
    await write(client, timestamp_ms=node.clock.now_ms)
    assert segments(node) == 2


async def check_roll_jitter_ms(node: Node, client: Client, change: Setter) -> None:
    await write(client)
    node.clock.now_ms += WEEK_MS - 1
    await write(client, timestamp_ms=node.clock.now_ms)
    assert segments(node) == 1
    await change(str(WEEK_MS))
    await write(client, timestamp_ms=node.clock.now_ms)
    assert segments(node) == 2


async def check_index_size(node: Node, client: Client, change: Setter) -> None:
    await write(client, count=3, size=5000)
    assert segments(node) == 1
    await change("16")
    await write(client, count=3, size=5000)
    assert segments(node) > 1


async def check_index_interval(node: Node, client: Client, change: Setter) -> None:
    await write(client, count=3)
    assert log_of(node).segments[0].offset_index.entries == 0
    await change("0")
    await write(client, count=3)
    assert log_of(node).segments[0].offset_index.entries >= 2


async def check_flush_messages(node: Node, client: Client, change: Setter) -> None:
    await write(client)
    assert log_of(node).recovery_point == 0
    await change("1")
    await write(client)
    assert log_of(node).recovery_point == 2


async def check_flush_ms(node: Node, client: Client, change: Setter) -> None:
    await write(client)
    node.clock.now_ms += DAY_MS
    await change("100")

    def flushed() -> bool:
        node.clock.now_ms += 10
        return bool(log_of(node).recovery_point == 1)

    await eventually(flushed)


async def check_retention_bytes(node: Node, client: Client, change: Setter) -> None:
    await write(client, count=5, size=100)
    assert segments(node) > 2
    await change("0")
    await eventually(lambda: log_of(node).log_start_offset > 0)


async def check_retention_ms(node: Node, client: Client, change: Setter) -> None:
    await write(client, timestamp_ms=node.clock.now_ms - 5000)
    await change("1000")
    await eventually(lambda: log_of(node).log_start_offset == 1)


async def check_delete_delay(node: Node, client: Client, change: Setter) -> None:
    await change("7000")
    await write(client, count=3, size=100, timestamp_ms=node.clock.now_ms - 5000)
    await eventually(lambda: len(deleted_files(node)) > 0)
    first = deleted_files(node)
    node.clock.now_ms += 7001
    await eventually(lambda: not first & deleted_files(node))


def deleted_files(node: Node) -> set[str]:
    return {name for name in node.fs.listdir(log_of(node).directory) if name.endswith(".deleted")}


async def check_message_max_bytes(node: Node, client: Client, change: Setter) -> None:
    assert (await send(client, make_batch(size=5000))).error_code == 0
    await change("1000")
    assert (await send(client, make_batch(size=5000))).error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert (await send(client, make_batch(size=500))).error_code == 0


async def check_cleanup_policy(node: Node, client: Client, change: Setter) -> None:
    assert (await send(client, make_batch(key=None))).error_code == 0
    await change("compact")
    assert (await send(client, make_batch(key=None))).error_code == ErrorCode.INVALID_RECORD


async def check_min_insync_replicas(node: Node, client: Client, change: Setter) -> None:
    partition = node.partition("t")
    partition.become_leader(
        leader_epoch=partition.leader_epoch,
        partition_epoch=partition.partition_epoch,
        assigned_replicas=(partition.node_id, FOLLOWER),
        in_sync_replicas=(partition.node_id,),
    )
    assert (await send(client, make_batch())).error_code == 0
    await change("2")
    assert (await send(client, make_batch())).error_code == ErrorCode.NOT_ENOUGH_REPLICAS


async def check_compression_type(node: Node, client: Client, change: Setter) -> None:
    await write(client)
    await change("zstd")
    await write(client)
    assert await codecs(client, 2) == [Codec.NONE, Codec.ZSTD]


async def codecs(client: Client, end: int) -> list[Codec]:
    found = []
    for offset in range(end):
        answer = await ask_one(client, offset, partition_max_bytes=1)
        found.append(Codec(read_header(cast("memoryview", answer.records)).attributes & CODEC_MASK))
    return found


def check_level(value: str) -> Check:
    """The same records take another number of bytes."""
    text = b"".join(b"%d %08x " % (n, zlib.crc32(b"%d" % (n // 3))) for n in range(5000))
    batch = build_batch([Record(0, 1_700_000_000_000, b"k", text)])

    async def check(node: Node, client: Client, change: Setter) -> None:
        assert (await send(client, batch)).error_code == 0
        before = log_of(node).size_bytes
        assert before < len(batch)
        await change(value)
        assert (await send(client, batch)).error_code == 0
        assert log_of(node).size_bytes - before != before

    return check


async def check_timestamp_type(node: Node, client: Client, change: Setter) -> None:
    assert (await send(client, make_batch())).log_append_time_ms == -1
    await change("LogAppendTime")
    assert (await send(client, make_batch())).log_append_time_ms == node.clock.now_ms


async def check_before_max_ms(node: Node, client: Client, change: Setter) -> None:
    old = make_batch(timestamp_ms=node.clock.now_ms - 5000)
    assert (await send(client, old)).error_code == 0
    await change("1000")
    assert (await send(client, old)).error_code == ErrorCode.INVALID_TIMESTAMP


async def check_after_max_ms(node: Node, client: Client, change: Setter) -> None:
    early = make_batch(timestamp_ms=node.clock.now_ms + 5000)
    assert (await send(client, early)).error_code == 0
    await change("1000")
    assert (await send(client, early)).error_code == ErrorCode.INVALID_TIMESTAMP


async def check_producer_expiration(node: Node, client: Client, change: Setter) -> None:
    assert (await send(client, make_batch(producer_id=5, producer_epoch=0, base_sequence=0))).error_code == 0
    node.clock.now_ms += 5000
    await a_while()
    assert log_of(node).producers.entries()
    await change("1000")
    await eventually(lambda: not log_of(node).producers.entries())


async def check_partition_verification(node: Node, client: Client, change: Setter) -> None:
    """A coordinator that nobody looked for yet is away: only who need not ask may write."""
    batch = make_batch(producer_id=5, producer_epoch=0, base_sequence=0, transactional=True)
    assert (await send(client, batch, transactional_id="x")).error_code == ErrorCode.NOT_ENOUGH_REPLICAS
    await change("false")
    assert (await send(client, batch, transactional_id="x", version=11)).error_code == 0


async def is_served(node: Node) -> bool:
    """Whether a further client gets an answer."""
    peer = await node.peer()
    peer.send(header(18, 0, 1))
    try:
        async with asyncio.timeout(0.1):
            await peer.answer()
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionResetError):
        return False
    finally:
        await peer.close()
    return True


async def check_max_connections(node: Node, client: Client, change: Setter) -> None:
    await eventually_served(node)
    await change("1")
    assert not await is_served(node)
    await change("2")
    await eventually_served(node)


async def eventually_served(node: Node) -> None:
    while not await is_served(node):
        await asyncio.sleep(0.01)


async def check_max_connections_per_ip(node: Node, client: Client, change: Setter) -> None:
    await eventually_served(node)
    await change("1")
    assert not await is_served(node)


async def check_max_connections_per_ip_overrides(node: Node, client: Client, change: Setter) -> None:
    await eventually_served(node)
    await change("127.0.0.1:1")
    assert not await is_served(node)


async def heartbeat(client: Client, member_id: str, **subscription: Any) -> int:
    """Join a consumer group; return the epoch of the assignment that the member got."""
    answer = await client.call(
        ConsumerGroupHeartbeatRequest(
            group_id="g",
            member_id=member_id,
            member_epoch=0,
            rebalance_timeout_ms=60_000,
            topic_partitions=[],
            **subscription,
        ),
        version=1,
    )
    assert answer.error_code == ErrorCode.NONE, answer
    return int(answer.member_epoch)


async def find_group(client: Client) -> None:
    finding = FindCoordinatorRequest(key_type=0, coordinator_keys=["g"])
    (found,) = (await client.call(finding, version=6)).coordinators
    assert found.error_code == ErrorCode.NONE


async def check_assignment_interval(node: Node, client: Client, change: Setter) -> None:
    await find_group(client)
    assert await heartbeat(client, "first", subscribed_topic_names=["t"]) == 2
    await change("10000")
    node.clock.now_ms += 5_000
    assert await heartbeat(client, "second", subscribed_topic_names=["t"]) == 2
    node.clock.now_ms += 5_000
    assert await heartbeat(client, "third", subscribed_topic_names=["t"]) == 4


def check_compaction(value: str, first: str | None = None) -> Check:
    """`value` lets compaction begin, which `first`, or what the broker was started with, keeps from it."""

    async def check(node: Node, client: Client, change: Setter) -> None:
        if first is not None:
            await change(first)
        await write(client, count=12)
        size = log_of(node).size_bytes
        await a_while()
        assert log_of(node).size_bytes == size
        await change(value)
        node.clock.now_ms += 1000
        await eventually(lambda: log_of(node).size_bytes < size)

    return check


def check_cleaner(field: str, value: str, taken: float) -> Check:
    """The next pass is given what was set."""

    async def check(node: Node, client: Client, change: Setter) -> None:
        await change(value)
        assert getattr(node.broker.cleaner.config, field) == taken

    return check


async def check_delete_retention(node: Node, client: Client, change: Setter) -> None:
    await change("77")
    assert log_of(node).config.delete_retention_ms == 77


CHECKS: dict[str, Check] = {
    "compression.gzip.level": check_level("1"),
    "compression.lz4.level": check_level("12"),
    "compression.type": check_compression_type,
    "compression.zstd.level": check_level("19"),
    "group.consumer.assignment.interval.ms": check_assignment_interval,
    "log.cleaner.backoff.ms": check_compaction("5"),
    "log.cleaner.dedupe.buffer.size": check_cleaner("memory_bytes", "1000", 1000),
    "log.cleaner.delete.retention.ms": check_delete_retention,
    "log.cleaner.io.buffer.load.factor": check_cleaner("load_factor", "0.5", 0.5),
    "log.cleaner.io.max.bytes.per.second": check_cleaner("bytes_per_second", "5000", 5000),
    "log.cleaner.max.compaction.lag.ms": check_compaction("500"),
    "log.cleaner.min.cleanable.ratio": check_compaction("0.1"),
    "log.cleaner.min.compaction.lag.ms": check_compaction("0", first="3600000"),
    "log.cleaner.threads": check_compaction("1"),
    "log.cleanup.policy": check_cleanup_policy,
    "log.flush.interval.messages": check_flush_messages,
    "log.flush.interval.ms": check_flush_ms,
    "log.index.interval.bytes": check_index_interval,
    "log.index.size.max.bytes": check_index_size,
    "log.message.timestamp.after.max.ms": check_after_max_ms,
    "log.message.timestamp.before.max.ms": check_before_max_ms,
    "log.message.timestamp.type": check_timestamp_type,
    "log.retention.bytes": check_retention_bytes,
    "log.retention.ms": check_retention_ms,
    "log.roll.jitter.ms": check_roll_jitter_ms,
    "log.roll.ms": check_roll_ms,
    "log.segment.bytes": check_segment_bytes,
    "log.segment.delete.delay.ms": check_delete_delay,
    "max.connections": check_max_connections,
    "max.connections.per.ip": check_max_connections_per_ip,
    "max.connections.per.ip.overrides": check_max_connections_per_ip_overrides,
    "message.max.bytes": check_message_max_bytes,
    "min.insync.replicas": check_min_insync_replicas,
    "producer.id.expiration.ms": check_producer_expiration,
    "transaction.partition.verification.enable": check_partition_verification,
}
TOPIC_NAMES = {key.synonym: key.name for key in TOPIC_KEYS if key.synonym and not key.without_effect}


def test_every_property_that_may_change_has_a_check() -> None:
    assert set(CHECKS) == {key.name for key in BROKER_KEYS if key.dynamic}
    assert set(TOPIC_NAMES) <= set(CHECKS)


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        *((TOPIC, "t", key) for key in CHECKS if key in TOPIC_NAMES),
        *((BROKER, "", key) for key in CHECKS),
        (BROKER, "1", "message.max.bytes"),
        (BROKER, "1", "max.connections"),
    ],
)
def test_it_takes_effect_at_once(kind: int, name: str, key: str) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        besides = COMPACTED if key.startswith("log.cleaner.") else BESIDES.get(key, {})
        await client.create_topic("t", configs=besides)
        talk = Talk(client)

        async def change(value: str) -> None:
            own_name = TOPIC_NAMES[key] if kind == TOPIC else key
            assert await talk.alter(kind, name, (own_name, SET, value)) is ErrorCode.NONE

        await CHECKS[key](node, client, change)

    play(scenario, *AT_START, *STARTED_WITH.get(key, ()), fs=FaultyFileSystem())


# -- afterwards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
def test_it_stays_in_force_after_a_restart(crash: bool) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        await client.create_topic("u")
        talk = Talk(client)
        for kind, name, key, value in (
            (TOPIC, "t", "max.message.bytes", "1000"),
            (BROKER, "", "message.max.bytes", "2000"),
            (BROKER, "", "max.connections", "77"),
            (BROKER, "1", "max.connections", "88"),
            (BROKER, "", "producer.id.expiration.ms", "99"),
        ):
            assert await talk.alter(kind, name, (key, SET, value)) is ErrorCode.NONE
        if crash:
            await node.crash(Loss.ALL)
        else:
            await node.restart()
        assert log_of(node).config.max_message_bytes == 1000
        assert node.partition("u").log.config.max_message_bytes == 2000
        assert node.broker.config.max_connections == 88
        assert node.broker._server.limits.connections_max == 88
        assert log_of(node).producers.expiration_ms == 99
        await (await node.client()).create_topic("v")
        assert node.partition("v").log.config.max_message_bytes == 2000
        assert node.partition("v").log.producers.expiration_ms == 99

    play(scenario, fs=FaultyFileSystem())


def test_what_a_topic_sets_itself_does_not_follow_the_broker() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"max.message.bytes": "1000"})
        talk = Talk(client)
        assert await talk.alter(BROKER, "", ("message.max.bytes", SET, "2000")) is ErrorCode.NONE
        assert log_of(node).config.max_message_bytes == 1000
        assert await talk.replace(TOPIC, "t", {}) is ErrorCode.NONE
        assert log_of(node).config.max_message_bytes == 2000
        assert await talk.replace(BROKER, "", {}) is ErrorCode.NONE
        assert log_of(node).config.max_message_bytes == 1_048_588
        assert node.broker.config.values.get("message.max.bytes") is None

    play(scenario)


def test_a_demand_that_is_lowered_lets_waiting_consumers_go_on() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t", configs={"min.insync.replicas": "2"})
        partition = node.partition("t")
        partition.become_leader(
            leader_epoch=partition.leader_epoch,
            partition_epoch=partition.partition_epoch,
            assigned_replicas=(partition.node_id, FOLLOWER),
            in_sync_replicas=(partition.node_id,),
        )
        await write(client)
        fetch = asyncio.ensure_future(ask_one(await node.client(), max_wait_ms=LONG_MS))
        await parked(node)
        assert partition.high_watermark == 0
        assert await Talk(client).alter(TOPIC, "t", ("min.insync.replicas", SET, "1")) is ErrorCode.NONE
        assert offsets_in((await fetch).records) == [0]

    play(scenario)


def test_changes_at_the_same_time_all_count() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await client.create_topic("t")
        key = "leader.replication.throttled.replicas"
        clients = [await node.client() for _ in range(5)]
        assert (
            await asyncio.gather(
                *(
                    Talk(each).alter(TOPIC, "t", (key, APPEND, f"{number}:1"))
                    for number, each in enumerate(clients)
                )
            )
            == [ErrorCode.NONE] * 5
        )
        _, rows = await Talk(client).describe(TOPIC, "t", key)
        assert set((rows[key].value or "").split(",")) == {f"{number}:1" for number in range(5)}

    play(scenario)


def test_the_answer_comes_when_the_setting_is_durable() -> None:
    async def scenario(node: Node) -> None:
        disk = Disk(cast("FaultyFileSystem", node.fs))
        client = await node.client()
        await client.create_topic("t")
        before = disk.count_syncs("__cluster_metadata")
        assert await Talk(client).alter(TOPIC, "t", ("retention.ms", SET, "5")) is ErrorCode.NONE
        assert disk.count_syncs("__cluster_metadata") > before

    play(scenario, fs=FaultyFileSystem())

"""Questions about partitions and records: adding, deleting, describing."""

from __future__ import annotations

from typing import Any

from logd.clients.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.create_partitions import CreatePartitionsRequest
from protocol.messages.delete_records import DeleteRecordsRequest
from protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from tests.compat.questions.asking import answered, codes, create, produce, renamed, settled

E = ErrorCode

# -- CreatePartitions ------------------------------------------------------------------------------------

_More = CreatePartitionsRequest.CreatePartitionsTopic
_Assigned = CreatePartitionsRequest.CreatePartitionsAssignment


async def create_partitions(
    client: Client, version: int, *topics: Any, validate_only: bool = False
) -> list[tuple[Any, ErrorCode]]:
    request = CreatePartitionsRequest(topics=list(topics), timeout_ms=30_000, validate_only=validate_only)
    response = await client.call(request, version=version)
    assert all(row.error_message is None for row in response.results if not row.error_code)
    return codes(response.results, "name")


@answered([[E.NONE, 2], [E.NONE, 3], [E.NONE, 4], [E.NONE, 5]])
async def partitions_are_added(client: Client, topic: str) -> Any:
    await create(client, topic)
    outcome = []
    for version in range(4):
        ((_, code),) = await create_partitions(
            client, version, _More(name=topic, count=version + 2, assignments=None)
        )
        await settled(client, topic, version + 2)
        await produce(client, topic, 1, version + 1)
        (row,) = (await client.metadata([topic])).topics
        outcome.append([code, len(row.partitions)])
    return outcome


@answered(
    {
        "same": E.INVALID_PARTITIONS,
        "fewer": E.INVALID_PARTITIONS,
        "none": E.INVALID_PARTITIONS,
        "negative": E.INVALID_PARTITIONS,
        "nobody": E.INVALID_REPLICA_ASSIGNMENT,
        "too few": E.INVALID_REPLICA_ASSIGNMENT,
        "too many": E.INVALID_REPLICA_ASSIGNMENT,
        "empty": E.INVALID_REPLICA_ASSIGNMENT,
        "unknown broker": E.INVALID_REPLICA_ASSIGNMENT,
        "same broker": E.INVALID_REPLICA_ASSIGNMENT,
        "assigned": E.NONE,
        "validated": E.NONE,
        "unknown topic": E.UNKNOWN_TOPIC_OR_PARTITION,
        "invalid topic": E.UNKNOWN_TOPIC_OR_PARTITION,
        "metadata log": E.UNKNOWN_TOPIC_OR_PARTITION,
        "partitions afterwards": 2,
    }
)
async def more_partitions_are_refused(client: Client, topic: str) -> Any:
    await create(client, topic, 2)
    outcome: dict[str, Any] = {}

    async def ask(name: str, count: int, assignments: Any = None, target: str = topic) -> None:
        rows = None if assignments is None else [_Assigned(broker_ids=ids) for ids in assignments]
        more = _More(name=target, count=count, assignments=rows)
        ((_, outcome[name]),) = await create_partitions(client, 3, more, validate_only=True)

    me = (await client.metadata([])).brokers[0].node_id
    await ask("same", 2)
    await ask("fewer", 1)
    await ask("none", 0)
    await ask("negative", -1)
    await ask("nobody", 3, [])
    await ask("too few", 4, [[me]])
    await ask("too many", 3, [[me], [me]])
    await ask("empty", 3, [[]])
    await ask("unknown broker", 3, [[me + 1]])
    await ask("same broker", 3, [[me, me]])
    await ask("assigned", 4, [[me], [me]])
    await ask("validated", 4)
    await ask("unknown topic", 4, None, topic + "x")
    await ask("invalid topic", 4, None, "a/b")
    await ask("metadata log", 4, None, "__cluster_metadata")
    (row,) = (await client.metadata([topic])).topics
    outcome["partitions afterwards"] = len(row.partitions)
    return outcome


@answered([E.INVALID_REQUEST, 1])
async def more_partitions_twice_in_a_request(client: Client, topic: str) -> Any:
    await create(client, topic)
    more = [_More(name=topic, count=count, assignments=None) for count in (2, 3)]
    ((_, code),) = await create_partitions(client, 3, *more)
    (row,) = (await client.metadata([topic])).topics
    return [code, len(row.partitions)]


# -- DeleteRecords ---------------------------------------------------------------------------------------


async def delete_records(client: Client, version: int, topic: str, *wanted: tuple[int, int]) -> Any:
    partitions = [DeleteRecordsRequest.DeleteRecordsPartition(partition_index=i, offset=o) for i, o in wanted]
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsRequest.DeleteRecordsTopic(name=topic, partitions=partitions)], timeout_ms=30_000
    )
    (answer,) = (await client.call(request, version=version)).topics
    assert answer.name == topic
    return sorted(
        (row.partition_index, ErrorCode(row.error_code), row.low_watermark) for row in answer.partitions
    )


@answered(
    [(0, E.NONE, 3), (0, E.NONE, 3), (0, E.NONE, 4), (0, E.NONE, 10), (0, E.NONE, 10), "start 10, end 10"]
)
async def records_are_deleted(client: Client, topic: str) -> Any:
    await create(client, topic)
    await produce(client, topic, 5)
    await produce(client, topic, 5)
    outcome: list[Any] = []
    for version, offset in ((0, 3), (1, 2), (2, 4), (2, -1), (2, 10)):
        outcome += await delete_records(client, version, topic, (0, offset))
    start, end = [await client.list_offset(topic, 0, timestamp) for timestamp in (-2, -1)]
    return [*outcome, f"start {start}, end {end}"]


@answered(
    [
        [(0, E.OFFSET_OUT_OF_RANGE, -1)],
        [(0, E.OFFSET_OUT_OF_RANGE, -1)],
        [(0, E.NONE, 0)],
        [(0, E.NONE, 1), (1, E.UNKNOWN_TOPIC_OR_PARTITION, -1)],
        [(0, E.UNKNOWN_TOPIC_OR_PARTITION, -1)],
        [(0, E.POLICY_VIOLATION, -1)],
        [(0, E.NONE, 2)],
        0,
    ]
)
async def records_are_not_deleted(client: Client, topic: str) -> Any:
    await create(client, topic)
    await create(client, topic + "-compacted", cleanup_policy="compact")
    await create(client, topic + "-both", cleanup_policy="compact,delete")
    for name in (topic, topic + "-compacted", topic + "-both"):
        await produce(client, name, 2)
    outcome = [
        await delete_records(client, 2, topic, (0, 3)),
        await delete_records(client, 2, topic, (0, -2)),
        await delete_records(client, 2, topic, (0, 0)),
        await delete_records(client, 2, topic, (0, 1), (1, 0)),
        await delete_records(client, 2, topic + "-unknown", (0, 0)),
        await delete_records(client, 2, topic + "-compacted", (0, 1)),
        await delete_records(client, 2, topic + "-both", (0, -1)),
    ]
    return [*outcome, await client.list_offset(topic + "-compacted", 0, -2)]


@answered(E.OFFSET_OUT_OF_RANGE)
async def deleted_records_are_out_of_range(client: Client, topic: str) -> Any:
    await create(client, topic)
    await produce(client, topic, 2)
    await delete_records(client, 2, topic, (0, 2))
    try:
        await client.fetch(topic, 0, 1)
    except BrokerError as refusal:
        return refusal.code


# -- DescribeTopicPartitions -----------------------------------------------------------------------------


async def describe_pages(client: Client, topics: list[str], limit: int, cursor: Any = None) -> Any:
    """[(name, code, partitions of the page)] and where the next page begins, page by page."""
    pages = []
    for _ in range(10):
        request = DescribeTopicPartitionsRequest(
            topics=[DescribeTopicPartitionsRequest.TopicRequest(name=name) for name in topics],
            response_partition_limit=limit,
            cursor=cursor
            and DescribeTopicPartitionsRequest.Cursor(topic_name=cursor[0], partition_index=cursor[1]),
        )
        response = await client.call(request)
        rows = [
            (row.name, ErrorCode(row.error_code), [partition.partition_index for partition in row.partitions])
            for row in response.topics
        ]
        cursor = response.next_cursor and (
            response.next_cursor.topic_name,
            response.next_cursor.partition_index,
        )
        pages.append((rows, cursor))
        if cursor is None:
            break
    return pages


@answered(
    [
        [
            ([("t-a", E.NONE, [0, 1])], ("t-a", 2)),
            ([("t-a", E.NONE, [2]), ("t-b", E.NONE, [0])], ("t-b", 1)),
            ([("t-b", E.NONE, [1]), ("t-c", E.UNKNOWN_TOPIC_OR_PARTITION, [])], None),
        ],
        [([("a/b", E.INVALID_TOPIC_EXCEPTION, []), ("t-a", E.NONE, [0, 1, 2])], None)],
    ]
)
async def topics_in_pages(client: Client, topic: str) -> Any:
    await create(client, topic + "-a", 3)
    await create(client, topic + "-b", 2)
    names = [topic + suffix for suffix in ("-c", "-b", "-a", "-a")]
    first = await describe_pages(client, names, 2)
    return renamed([first, await describe_pages(client, ["a/b", topic + "-a"], 2000)], topic, "t")


@answered(
    {
        "from the cursor": [([("t-a", E.NONE, [1, 2])], None)],
        "beyond the last": [([("t-a", E.NONE, [])], None)],
        "not named": [([("t-a", E.INVALID_REQUEST, [])], None)],
        "negative": [([("t-a", E.INVALID_REQUEST, [])], None)],
        "no limit": [
            ([("t-a", E.NONE, [0])], ("t-a", 1)),
            ([("t-a", E.NONE, [1])], ("t-a", 2)),
            ([("t-a", E.NONE, [2])], None),
        ],
        "negative limit": [
            ([("t-a", E.NONE, [0])], ("t-a", 1)),
            ([("t-a", E.NONE, [1])], ("t-a", 2)),
            ([("t-a", E.NONE, [2])], None),
        ],
    }
)
async def topics_from_a_cursor(client: Client, topic: str) -> Any:
    name = topic + "-a"
    await create(client, name, 3)
    outcome = {
        "from the cursor": await describe_pages(client, [name], 2000, (name, 1)),
        "beyond the last": await describe_pages(client, [name], 2000, (name, 7)),
        "not named": await describe_pages(client, [name], 2000, (topic, 0)),
        "negative": await describe_pages(client, [name], 2000, (name, -1)),
        "no limit": await describe_pages(client, [name], 0),
        "negative limit": await describe_pages(client, [name], -5),
    }
    return {key: renamed(value, topic, "t") for key, value in outcome.items()}


@answered([True, True, [1], [1], [], [], [], 0, False, 3576])
async def a_topic_in_detail(client: Client, topic: str) -> Any:
    await create(client, topic)
    request = DescribeTopicPartitionsRequest(topics=[DescribeTopicPartitionsRequest.TopicRequest(name=topic)])
    (row,) = (await client.call(request)).topics
    (known,) = (await client.metadata([topic])).topics
    (partition,) = row.partitions
    return [
        row.topic_id == known.topic_id,
        partition.leader_id == 1,
        partition.replica_nodes,
        partition.isr_nodes,
        partition.eligible_leader_replicas,
        partition.last_known_elr,
        partition.offline_replicas,
        partition.leader_epoch,
        row.is_internal,
        row.topic_authorized_operations,
    ]


@answered([True, True])
async def all_topics_in_pages(client: Client, topic: str) -> Any:
    """No names ask for all; a cursor then says where to begin."""
    await create(client, topic)
    request = DescribeTopicPartitionsRequest()
    everything = [row.name for row in (await client.call(request)).topics]
    request.cursor = DescribeTopicPartitionsRequest.Cursor(topic_name=topic, partition_index=0)
    rest = [row.name for row in (await client.call(request)).topics]
    return [
        everything == sorted(everything) and topic in everything,
        rest == everything[everything.index(topic) :],
    ]

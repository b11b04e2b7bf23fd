"""Administrative requests, each with what Apache Kafka 4.3.1 answers without authoriser, quotas or SCRAM users.

A question prepares what it needs under a topic name of its own, asks, and returns what of the answer clients depend on:
codes and places, not texts. So the same list can be put to logd and to Kafka.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from logd.client import Client
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.alter_client_quotas import AlterClientQuotasRequest
from protocol.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from protocol.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest
from protocol.messages.alter_user_scram_credentials import AlterUserScramCredentialsRequest
from protocol.messages.create_acls import CreateAclsRequest
from protocol.messages.create_partitions import CreatePartitionsRequest
from protocol.messages.delete_acls import DeleteAclsRequest
from protocol.messages.delete_records import DeleteRecordsRequest
from protocol.messages.describe_acls import DescribeAclsRequest
from protocol.messages.describe_client_quotas import DescribeClientQuotasRequest
from protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from protocol.messages.describe_producers import DescribeProducersRequest
from protocol.messages.describe_quorum import DescribeQuorumRequest
from protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from protocol.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest
from protocol.messages.elect_leaders import ElectLeadersRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from protocol.messages.unregister_broker import UnregisterBrokerRequest
from protocol.record_builder import build_batch
from protocol.records import Record

Ask = Callable[[Client, str], Awaitable[Any]]


class Question(NamedTuple):
    """What is asked, and what comes back."""

    ask: Ask
    answer: Any


QUESTIONS: dict[str, Question] = {}
"""By name."""


def answered(answer: Any) -> Callable[[Ask], Ask]:
    """Put the decorated question into `QUESTIONS`."""

    def take(ask: Ask) -> Ask:
        QUESTIONS[ask.__name__] = Question(ask, answer)
        return ask

    return take


async def create(client: Client, topic: str, partitions: int = 1, **configs: str) -> None:
    """Create a topic and wait until all of it can be used."""
    await client.create_topic(
        topic, partitions=partitions, configs={key.replace("_", "."): value for key, value in configs.items()}
    )
    await settled(client, topic, partitions)


async def settled(client: Client, topic: str, partitions: int) -> None:
    for _ in range(200):
        (row,) = (await client.metadata([topic])).topics
        if row.error_code == 0 and len(row.partitions) == partitions:
            try:
                for index in range(partitions):
                    await client.list_offset(topic, index)
            except BrokerError:
                pass
            else:
                return
        await asyncio.sleep(0.05)
    raise TimeoutError(topic)


async def produce(client: Client, topic: str, count: int, index: int = 0, **fields: Any) -> None:
    now_ms = int(time.time() * 1000)
    batch = build_batch([Record(i, now_ms, b"k", b"v") for i in range(count)], **fields)
    await client.produce(topic, index, batch)


def codes(rows: Any, key: str = "partition_index") -> list[tuple[Any, ErrorCode]]:
    """(what `key` says, code) of each row, sorted: Kafka's order is that of a hash table."""
    return sorted((getattr(row, key), ErrorCode(row.error_code)) for row in rows)


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


def renamed(value: Any, old: str, new: str) -> Any:
    """`value` with a prefix of texts in it replaced."""
    if isinstance(value, str):
        return value.replace(old, new)
    if isinstance(value, (list, tuple)):
        return type(value)(renamed(item, old, new) for item in value)
    return value


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


# -- DescribeLogDirs, AlterReplicaLogDirs ----------------------------------------------------------------


async def describe_log_dirs(client: Client, topics: Any, version: int = 5) -> Any:
    rows = topics and [
        DescribeLogDirsRequest.DescribableLogDirTopic(topic=name, partitions=list(partitions))
        for name, partitions in topics
    ]
    return await client.call(DescribeLogDirsRequest(topics=rows), version=version)


@answered([[E.NONE, [True, True, False], [("t", [(0, True, 0, False), (1, False, 0, False)])]]] * 5)
async def log_dirs(client: Client, topic: str) -> Any:
    await create(client, topic, 2)
    await produce(client, topic, 3)
    outcome = []
    for version in range(1, 6):
        response = await describe_log_dirs(client, [(topic, (0, 1, 2)), (topic + "x", (0,))], version)
        (result,) = response.results
        described = [
            (
                renamed(row.name, topic, "t"),
                sorted(
                    (p.partition_index, p.partition_size > 60, p.offset_lag, p.is_future_key)
                    for p in row.partitions
                ),
            )
            for row in result.topics
        ]
        sized = version < 4 or result.total_bytes > result.usable_bytes > 0
        assert result.error_code == 0 and result.log_dir.startswith("/")
        outcome.append(
            [
                ErrorCode(response.error_code),
                [sized, version >= 4 or result.total_bytes == -1, result.is_cordoned],
                described,
            ]
        )
    return outcome


@answered([True, True, []])
async def log_dirs_of_everything_and_nothing(client: Client, topic: str) -> Any:
    await create(client, topic, 2)
    (everything,) = (await describe_log_dirs(client, None)).results
    (nothing,) = (await describe_log_dirs(client, [])).results
    names = {row.name: len(row.partitions) for row in everything.topics}
    return [names[topic] == 2, "__cluster_metadata" not in names, nothing.topics]


@answered(
    {
        "here": E.NONE,
        "unknown directory": E.LOG_DIR_NOT_FOUND,
        "unknown partition": E.UNKNOWN_TOPIC_OR_PARTITION,
        "unknown topic": E.UNKNOWN_TOPIC_OR_PARTITION,
        "both unknown": E.LOG_DIR_NOT_FOUND,
        "long name": E.INVALID_TOPIC_EXCEPTION,
    }
)
async def replicas_change_directory(client: Client, topic: str) -> Any:
    await create(client, topic)
    (here,) = (await describe_log_dirs(client, [])).results
    outcome = {}

    async def ask(what: str, path: str, name: str, index: int) -> None:
        target = AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic(name=name, partitions=[index])
        for version in (1, 2):
            request = AlterReplicaLogDirsRequest(
                dirs=[AlterReplicaLogDirsRequest.AlterReplicaLogDir(path=path, topics=[target])]
            )
            (row,) = (await client.call(request, version=version)).results
            assert row.topic_name == name
            outcome[what] = ErrorCode(row.partitions[0].error_code)

    await ask("here", here.log_dir, topic, 0)
    await ask("unknown directory", "/no/such/directory", topic, 0)
    await ask("unknown partition", here.log_dir, topic, 1)
    await ask("unknown topic", here.log_dir, topic + "x", 0)
    await ask("both unknown", "/no/such/directory", topic + "x", 0)
    await ask("long name", "/no/such/directory", "n" * 240, 0)
    return outcome


# -- DescribeProducers -----------------------------------------------------------------------------------


async def producer_id(client: Client) -> Any:
    for _ in range(200):
        answer = await client.call(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000))
        if answer.error_code == 0:
            return answer
        await asyncio.sleep(0.05)
    raise TimeoutError


@answered(
    [
        [(0, E.NONE, [(0, 2, True, -1, -1)]), (1, E.UNKNOWN_TOPIC_OR_PARTITION, [])],
        [(0, E.UNKNOWN_TOPIC_OR_PARTITION, [])],
        [(0, E.INVALID_TOPIC_EXCEPTION, [])],
    ]
)
async def producers(client: Client, topic: str) -> Any:
    await create(client, topic)
    identity = await producer_id(client)
    await produce(client, topic, 3, producer_id=identity.producer_id, producer_epoch=0, base_sequence=0)
    names = [(topic, [0, 1]), (topic + "x", [0]), ("a/b", [0])]
    request = DescribeProducersRequest(
        topics=[
            DescribeProducersRequest.TopicRequest(name=name, partition_indexes=indexes)
            for name, indexes in names
        ]
    )
    response = await client.call(request)
    assert [row.name for row in response.topics] == [name for name, _ in names]
    return [
        [
            (
                row.partition_index,
                ErrorCode(row.error_code),
                [
                    (
                        state.producer_epoch,
                        state.last_sequence,
                        state.last_timestamp > 0 and state.producer_id == identity.producer_id,
                        state.coordinator_epoch,
                        state.current_txn_start_offset,
                    )
                    for state in row.active_producers
                ],
            )
            for row in topic_row.partitions
        ]
        for topic_row in response.topics
    ]


# -- elections and reassignments -------------------------------------------------------------------------


async def elect(client: Client, version: int, type_: int, *topics: tuple[str, list[int]]) -> Any:
    request = ElectLeadersRequest(
        election_type=type_,
        topic_partitions=[
            ElectLeadersRequest.TopicPartitions(topic=name, partitions=partitions)
            for name, partitions in topics
        ],
        timeout_ms=30_000,
    )
    response = await client.call(request, version=version)
    rows = [codes(row.partition_result, "partition_id") for row in response.replica_election_results]
    return ErrorCode(response.error_code), rows


_NOT_NEEDED = (
    E.NONE,
    [[(0, E.ELECTION_NOT_NEEDED), (1, E.UNKNOWN_TOPIC_OR_PARTITION)], [(0, E.UNKNOWN_TOPIC_OR_PARTITION)]],
)


@answered([_NOT_NEEDED] * 5)
async def elections(client: Client, topic: str) -> Any:
    await create(client, topic)
    wanted = [(topic, [0, 1]), (topic + "x", [0])]
    return [
        await elect(client, version, type_, *wanted)
        for version, type_ in ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1))
    ]


@answered((E.INVALID_REQUEST, [[(0, E.INVALID_REQUEST)]]))
async def an_unknown_kind_of_election(client: Client, topic: str) -> Any:
    await create(client, topic)
    return await elect(client, 2, 7, (topic, [0]))


@answered([E.NONE, []])
async def elections_everywhere(client: Client, topic: str) -> Any:
    await create(client, topic)
    response = await client.call(ElectLeadersRequest(topic_partitions=None))
    rows = {row.topic: row.partition_result for row in response.replica_election_results}
    return [ErrorCode(response.error_code), rows[topic]]


@answered(
    {
        "stay": [E.NONE, E.NONE],
        "cancel": [E.NONE, E.NO_REASSIGNMENT_IN_PROGRESS],
        "elsewhere": [E.NONE, E.INVALID_REPLICA_ASSIGNMENT],
        "here and elsewhere": [E.NONE, E.INVALID_REPLICA_ASSIGNMENT],
        "nowhere": [E.NONE, E.INVALID_REPLICA_ASSIGNMENT],
        "twice": [E.NONE, E.INVALID_REPLICA_ASSIGNMENT],
        "unknown partition": [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION],
        "unknown topic": [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION],
        "factor kept": [E.NONE, E.NONE],
        "factor changed": [E.NONE, E.INVALID_REPLICA_ASSIGNMENT],
    }
)
async def reassignments(client: Client, topic: str) -> Any:
    await create(client, topic)
    outcome = {}

    async def ask(
        what: str,
        replicas: Any,
        index: int = 0,
        name: str = topic,
        *,
        versions: Any = (0, 1),
        change: bool = True,
    ) -> None:
        partition = AlterPartitionReassignmentsRequest.ReassignablePartition(
            partition_index=index, replicas=replicas
        )
        row = AlterPartitionReassignmentsRequest.ReassignableTopic(name=name, partitions=[partition])
        for version in versions:
            request = AlterPartitionReassignmentsRequest(
                topics=[row], timeout_ms=30_000, allow_replication_factor_change=change
            )
            response = await client.call(request, version=version)
            ((answer,),) = (topic_row.partitions for topic_row in response.responses)
            outcome[what] = [ErrorCode(response.error_code), ErrorCode(answer.error_code)]
            assert answer.error_code or answer.error_message is None

    await ask("stay", [1])
    await ask("cancel", None)
    await ask("elsewhere", [2])
    await ask("here and elsewhere", [1, 2])
    await ask("nowhere", [])
    await ask("twice", [1, 1])
    await ask("unknown partition", [1], 1)
    await ask("unknown topic", None, 0, topic + "x")
    await ask("factor kept", [1], versions=(1,), change=False)
    await ask("factor changed", [1, 2], versions=(1,), change=False)
    return outcome


@answered([(E.NONE, None, [])] * 2)
async def reassignments_under_way(client: Client, topic: str) -> Any:
    await create(client, topic)
    named = ListPartitionReassignmentsRequest.ListPartitionReassignmentsTopics(
        name=topic, partition_indexes=[0, 1]
    )
    responses = [
        await client.call(ListPartitionReassignmentsRequest(topics=topics)) for topics in (None, [named])
    ]
    return [(ErrorCode(row.error_code), row.error_message, row.topics) for row in responses]


# -- the cluster -----------------------------------------------------------------------------------------


async def describe_quorum(client: Client, version: int, *wanted: tuple[str, int]) -> Any:
    topics = [
        DescribeQuorumRequest.TopicData(
            topic_name=name, partitions=[DescribeQuorumRequest.PartitionData(partition_index=index)]
        )
        for name, index in wanted
    ]
    return await client.call(DescribeQuorumRequest(topics=topics), version=version)


@answered(
    [
        [E.NONE, 1, True, True, [(1, True, False)], []],
        [E.NONE, 1, True, True, [(1, True, True)], []],
        [E.NONE, 1, True, True, [(1, True, True)], [1]],
    ]
)
async def the_quorum(client: Client, _topic: str) -> Any:
    outcome = []
    for version in range(3):
        response = await describe_quorum(client, version, ("__cluster_metadata", 0))
        assert response.error_code == 0
        (topic,) = response.topics
        (partition,) = topic.partitions
        assert topic.topic_name == "__cluster_metadata"
        outcome.append(
            [
                ErrorCode(partition.error_code),
                partition.leader_id,
                partition.leader_epoch >= 0,
                partition.high_watermark > 0,
                [
                    (
                        voter.replica_id,
                        voter.log_end_offset >= partition.high_watermark,
                        voter.last_caught_up_timestamp > 0,
                    )
                    for voter in partition.current_voters
                ],
                [node.node_id for node in response.nodes if node.listeners],
            ]
        )
    return outcome


@answered(
    [
        [[(0, E.UNKNOWN_TOPIC_OR_PARTITION)]],
        [[(1, E.UNKNOWN_TOPIC_OR_PARTITION)]],
        [[(0, E.UNKNOWN_TOPIC_OR_PARTITION)], [(0, E.UNKNOWN_TOPIC_OR_PARTITION)]],
    ]
)
async def a_quorum_of_something_else(client: Client, topic: str) -> Any:
    outcome = []
    for wanted in ([(topic, 0)], [("__cluster_metadata", 1)], [("__cluster_metadata", 0), (topic, 0)]):
        response = await describe_quorum(client, 2, *wanted)
        assert response.error_code == 0
        outcome.append([codes(row.partitions) for row in response.topics])
    return outcome


@answered(E.BROKER_ID_NOT_REGISTERED)
async def an_unknown_broker_is_unregistered(client: Client, _topic: str) -> Any:
    return ErrorCode((await client.call(UnregisterBrokerRequest(broker_id=17))).error_code)


# -- security and quotas ---------------------------------------------------------------------------------


@answered([(E.SECURITY_DISABLED, True, [])] * 3)
async def access_rules_are_described(client: Client, _topic: str) -> Any:
    request = DescribeAclsRequest(
        resource_type_filter=1,
        resource_name_filter=None,
        principal_filter=None,
        host_filter=None,
        pattern_type_filter=1,
        operation=1,
        permission_type=1,
    )
    responses = [await client.call(request, version=version) for version in (1, 2, 3)]
    return [(ErrorCode(row.error_code), bool(row.error_message), row.resources) for row in responses]


@answered([[(E.SECURITY_DISABLED, True)] * 2] * 3)
async def access_rules_are_made(client: Client, topic: str) -> Any:
    rule = CreateAclsRequest.AclCreation(
        resource_type=2, resource_name=topic, principal="User:me", host="*", operation=3, permission_type=3
    )
    responses = [await client.call(CreateAclsRequest(creations=[rule, rule]), version=v) for v in (1, 2, 3)]
    return [
        [(ErrorCode(row.error_code), bool(row.error_message)) for row in each.results] for each in responses
    ]


@answered([[(E.SECURITY_DISABLED, True, [])] * 2] * 3)
async def access_rules_are_removed(client: Client, topic: str) -> Any:
    rule = DeleteAclsRequest.DeleteAclsFilter(
        resource_type_filter=2,
        resource_name_filter=topic,
        principal_filter=None,
        host_filter=None,
        pattern_type_filter=3,
        operation=1,
        permission_type=1,
    )
    responses = [await client.call(DeleteAclsRequest(filters=[rule, rule]), version=v) for v in (1, 2, 3)]
    return [
        [
            (ErrorCode(row.error_code), bool(row.error_message), row.matching_acls)
            for row in each.filter_results
        ]
        for each in responses
    ]


_Component = DescribeClientQuotasRequest.ComponentData


@answered(
    {
        "all": (E.NONE, []),
        "users": (E.NONE, []),
        "one user": (E.NONE, []),
        "the default": (E.NONE, []),
        "both": (E.NONE, []),
        "an address": (E.NONE, []),
        "an address and a user": (E.INVALID_REQUEST, None),
        "no type": (E.INVALID_REQUEST, None),
        "a type twice": (E.INVALID_REQUEST, None),
        "an unknown type": (E.UNSUPPORTED_VERSION, None),
        "an unknown match": (E.INVALID_REQUEST, None),
        "exactly nothing": (E.INVALID_REQUEST, None),
        "the default by name": (E.INVALID_REQUEST, None),
        "any by name": (E.INVALID_REQUEST, None),
    }
)
async def quotas_are_described(client: Client, _topic: str) -> Any:
    outcome = {}

    async def ask(what: str, *components: tuple[str, int, str | None]) -> None:
        rows = [_Component(entity_type=type_, match_type=how, match=name) for type_, how, name in components]
        for version in (0, 1):
            response = await client.call(DescribeClientQuotasRequest(components=rows), version=version)
            outcome[what] = (ErrorCode(response.error_code), response.entries)
            assert response.error_code or response.error_message == ""

    await ask("all")
    await ask("users", ("user", 2, None))
    await ask("one user", ("user", 0, "me"))
    await ask("the default", ("user", 1, None))
    await ask("both", ("user", 2, None), ("client-id", 2, None))
    await ask("an address", ("ip", 2, None))
    await ask("an address and a user", ("ip", 2, None), ("user", 2, None))
    await ask("no type", ("", 2, None))
    await ask("a type twice", ("user", 2, None), ("user", 0, "me"))
    await ask("an unknown type", ("group", 2, None))
    await ask("an unknown match", ("user", 9, None))
    await ask("exactly nothing", ("user", 0, None))
    await ask("the default by name", ("user", 1, "me"))
    await ask("any by name", ("user", 2, "me"))
    return outcome


@answered(
    {
        "removed": E.NONE,
        "an unknown one removed": E.NONE,
        "unknown quota": E.INVALID_REQUEST,
        "of an address": E.INVALID_REQUEST,
        "zero": E.INVALID_REQUEST,
        "negative": E.INVALID_REQUEST,
        "fraction": E.INVALID_REQUEST,
        "nobody": E.INVALID_REQUEST,
        "unknown type": E.INVALID_REQUEST,
        "empty name": E.INVALID_REQUEST,
        "address and user": E.INVALID_REQUEST,
        "twice": E.INVALID_REQUEST,
    }
)
async def quotas_that_cannot_be(client: Client, _topic: str) -> Any:
    outcome = {}

    async def ask(what: str, entity: Any, *ops: tuple[str, float, bool]) -> None:
        entry = AlterClientQuotasRequest.EntryData(
            entity=[
                AlterClientQuotasRequest.EntityData(entity_type=type_, entity_name=name)
                for type_, name in entity
            ],
            ops=[
                AlterClientQuotasRequest.OpData(key=key, value=value, remove=remove)
                for key, value, remove in ops
            ],
        )
        for version in (0, 1):
            request = AlterClientQuotasRequest(entries=[entry], validate_only=True)
            (row,) = (await client.call(request, version=version)).entries
            outcome[what] = ErrorCode(row.error_code)
            assert sorted((part.entity_type, part.entity_name) for part in row.entity) == sorted(entity)

    await ask("removed", [("user", "me")], ("producer_byte_rate", 0, True))
    await ask("an unknown one removed", [("user", "me")], ("no_such_rate", 0, True))
    await ask("unknown quota", [("user", "me")], ("no_such_rate", 1, False))
    await ask("of an address", [("user", "me")], ("connection_creation_rate", 1, False))
    await ask("zero", [("user", "me")], ("producer_byte_rate", 0, False))
    await ask("negative", [("user", "me")], ("producer_byte_rate", -1, False))
    await ask("fraction", [("user", "me")], ("producer_byte_rate", 1.5, False))
    await ask("nobody", [], ("producer_byte_rate", 1, False))
    await ask("unknown type", [("group", "g")], ("producer_byte_rate", 1, False))
    await ask("empty name", [("user", "")], ("producer_byte_rate", 1, False))
    await ask("address and user", [("ip", "127.0.0.1"), ("user", "me")], ("producer_byte_rate", 1, False))
    await ask("twice", [("user", "me")], ("producer_byte_rate", 1, False), ("producer_byte_rate", 2, False))
    return outcome


_User = DescribeUserScramCredentialsRequest.UserName


@answered(
    [
        (E.NONE, []),
        (E.NONE, []),
        (E.NONE, [("b", E.DUPLICATE_RESOURCE), ("me", E.RESOURCE_NOT_FOUND)]),
    ]
)
async def users_are_described(client: Client, _topic: str) -> Any:
    outcome = []
    for names in (None, [], ["me", "b", "b"]):
        users = None if names is None else [_User(name=name) for name in names]
        response = await client.call(DescribeUserScramCredentialsRequest(users=users))
        assert response.error_message == ""
        outcome.append((ErrorCode(response.error_code), codes(response.results, "user")))
    return outcome


_Delete = AlterUserScramCredentialsRequest.ScramCredentialDeletion
_Upsert = AlterUserScramCredentialsRequest.ScramCredentialUpsertion


@answered(
    [
        ("", E.UNACCEPTABLE_CREDENTIAL),
        ("a", E.RESOURCE_NOT_FOUND),
        ("b", E.UNSUPPORTED_SASL_MECHANISM),
        ("c", E.DUPLICATE_RESOURCE),
        ("d", E.DUPLICATE_RESOURCE),
        ("e", E.UNACCEPTABLE_CREDENTIAL),
        ("f", E.UNACCEPTABLE_CREDENTIAL),
        ("g", E.UNSUPPORTED_SASL_MECHANISM),
        ("h", E.UNACCEPTABLE_CREDENTIAL),
    ]
)
async def users_that_cannot_be(client: Client, _topic: str) -> Any:
    secret = {"salt": b"salt", "salted_password": b"p" * 32}
    request = AlterUserScramCredentialsRequest(
        deletions=[
            _Delete(name="", mechanism=1),
            _Delete(name="a", mechanism=1),
            _Delete(name="b", mechanism=9),
        ],
        upsertions=[
            _Upsert(name="c", mechanism=1, iterations=4096, **secret),
            _Upsert(name="c", mechanism=2, iterations=4096, **secret),
            _Upsert(name="d", mechanism=1, iterations=4096, **secret),
            _Upsert(name="d", mechanism=1, iterations=4096, **secret),
            _Upsert(name="e", mechanism=1, iterations=4095, **secret),
            _Upsert(name="f", mechanism=1, iterations=16385, **secret),
            _Upsert(name="g", mechanism=0, iterations=4096, **secret),
            _Upsert(name="h", mechanism=2, iterations=0, **secret),
        ],
    )
    return codes((await client.call(request)).results, "user")

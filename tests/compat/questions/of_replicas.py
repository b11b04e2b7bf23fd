"""Questions about where partitions are, who leads them, and who writes to them."""

from __future__ import annotations

import asyncio
from typing import Any

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from protocol.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest
from protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from protocol.messages.describe_producers import DescribeProducersRequest
from protocol.messages.elect_leaders import ElectLeadersRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from tests.compat.questions.asking import answered, codes, create, produce, renamed

E = ErrorCode

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

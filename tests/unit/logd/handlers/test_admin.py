"""Goal: administrative requests that change nothing here: who may ask, what failed disks look like, bounds on answers.

What Kafka answers to the same requests is held against it in tests/compat/test_answers.py.
"""

from __future__ import annotations

import errno
from typing import Any

import pytest

from logd.authorisation import ResourceType
from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.alter_client_quotas import AlterClientQuotasRequest
from protocol.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest
from protocol.messages.alter_replica_log_dirs import AlterReplicaLogDirsRequest
from protocol.messages.alter_user_scram_credentials import AlterUserScramCredentialsRequest
from protocol.messages.create_acls import CreateAclsRequest
from protocol.messages.delete_acls import DeleteAclsRequest
from protocol.messages.describe_acls import DescribeAclsRequest
from protocol.messages.describe_client_quotas import DescribeClientQuotasRequest
from protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from protocol.messages.describe_producers import DescribeProducersRequest
from protocol.messages.describe_quorum import DescribeQuorumRequest
from protocol.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from protocol.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest
from protocol.messages.elect_leaders import ElectLeadersRequest
from protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from protocol.messages.message import Message
from protocol.messages.unregister_broker import UnregisterBrokerRequest
from protocol.types import uuid_from_str
from storage.directories.meta_properties import read_meta_properties
from storage.fs.faulty import FaultyFileSystem, Kind
from tests.support.logs import make_batch
from tests.support.node import DATA_DIR, Disk, Node, play
from tests.support.node_talk import append, send, topic_with

CODE = ErrorCode
DENIED = CODE.CLUSTER_AUTHORIZATION_FAILED

_Entity = AlterClientQuotasRequest.EntityData
_ReassignedTopic = AlterPartitionReassignmentsRequest.ReassignableTopic
_Reassigned = AlterPartitionReassignmentsRequest.ReassignablePartition


def error_codes(value: Any) -> list[int]:
    """Every error code in a response, outermost first."""
    found: list[int] = []
    if isinstance(value, list):
        for item in value:
            found += error_codes(item)
    elif isinstance(value, Message):
        for name, *_ in value.FIELDS:
            child = getattr(value, name)
            found += [child] if name == "error_code" else error_codes(child)
    return found


@pytest.mark.parametrize(
    ("request_", "places"),
    [
        (DescribeAclsRequest(), 1),
        (CreateAclsRequest(creations=[CreateAclsRequest.AclCreation()] * 2), 2),
        (DeleteAclsRequest(filters=[DeleteAclsRequest.DeleteAclsFilter()] * 2), 2),
        (DescribeClientQuotasRequest(), 1),
        (
            AlterClientQuotasRequest(
                entries=[
                    AlterClientQuotasRequest.EntryData(entity=[_Entity(entity_type="user", entity_name="u")])
                ]
            ),
            1,
        ),
        (DescribeUserScramCredentialsRequest(users=None), 1),
        (
            AlterUserScramCredentialsRequest(
                deletions=[AlterUserScramCredentialsRequest.ScramCredentialDeletion(name="u", mechanism=1)]
            ),
            1,
        ),
        (DescribeLogDirsRequest(topics=None), 1),
        (
            AlterReplicaLogDirsRequest(
                dirs=[
                    AlterReplicaLogDirsRequest.AlterReplicaLogDir(
                        path=DATA_DIR,
                        topics=[
                            AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic(name="t", partitions=[0, 1])
                        ],
                    )
                ]
            ),
            2,
        ),
        (DescribeQuorumRequest(), 1),
        (UnregisterBrokerRequest(broker_id=7), 1),
        (
            ElectLeadersRequest(
                topic_partitions=[ElectLeadersRequest.TopicPartitions(topic="t", partitions=[0, 1])]
            ),
            3,
        ),
        (ElectLeadersRequest(topic_partitions=None), 1),
        (
            AlterPartitionReassignmentsRequest(
                topics=[_ReassignedTopic(name="t", partitions=[_Reassigned(partition_index=0, replicas=[1])])]
            ),
            1,
        ),
        (ListPartitionReassignmentsRequest(), 1),
    ],
    ids=lambda value: value.NAME if isinstance(value, Message) else "",
)
def test_without_the_right_nothing_is_told(request_: Message, places: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, 0)
        node.broker.authorise = lambda _context, _operation, type_, _name: type_ is not ResourceType.CLUSTER
        first, last = client.versions[request_.API_KEY]
        for version in range(first, last + 1):
            response = await client.call(request_, version=version)
            codes = error_codes(response)
            # Old versions of two of them have no place for the error as a whole.
            assert set(codes) <= ({DENIED} if version == last else {DENIED, CODE.NONE})
            assert len(codes) == places

    play(scenario)


def test_topics_that_may_not_be_seen() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, name="a")
        await topic_with(client, 0, name="b")
        node.broker.authorise = lambda _context, _operation, _type, name: name != "a"
        by_name = DescribeTopicPartitionsRequest(
            topics=[DescribeTopicPartitionsRequest.TopicRequest(name=name) for name in ("a", "b")]
        )
        rows = (await client.call(by_name)).topics
        assert [(row.name, row.error_code, len(row.partitions)) for row in rows] == [
            ("b", 0, 1),
            ("a", CODE.TOPIC_AUTHORIZATION_FAILED, 0),
        ]
        rows = (await client.call(DescribeTopicPartitionsRequest())).topics
        assert [row.name for row in rows] == ["b"]
        wanted = DescribeProducersRequest.TopicRequest(name="a", partition_indexes=[0])
        (row,) = (await client.call(DescribeProducersRequest(topics=[wanted]))).topics
        assert row.partitions[0].error_code == CODE.TOPIC_AUTHORIZATION_FAILED

    play(scenario)


def test_pages_are_no_larger_than_the_broker_allows() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, 0, 0, 0)
        response = await client.call(DescribeTopicPartitionsRequest())
        assert [row.partition_index for row in response.topics[0].partitions] == [0, 1, 2]
        assert (response.next_cursor.topic_name, response.next_cursor.partition_index) == ("t", 3)

    play(scenario, "max.request.partition.size.limit=3")


# -- data directories --------------------------------------------------------------------------------------


async def log_dirs(client: Client) -> dict[str, tuple[ErrorCode, dict[str, list[int]], bool]]:
    """By path: code, the partitions of each topic, whether the size of the disk is told."""
    response = await client.call(DescribeLogDirsRequest(topics=None))
    assert response.error_code == 0
    return {
        result.log_dir: (
            ErrorCode(result.error_code),
            {topic.name: [row.partition_index for row in topic.partitions] for topic in result.topics},
            result.total_bytes >= result.usable_bytes > 0,
        )
        for result in response.results
    }


async def place(client: Client, path: str, index: int = 0) -> ErrorCode:
    target = AlterReplicaLogDirsRequest.AlterReplicaLogDirTopic(name="t", partitions=[index])
    directory = AlterReplicaLogDirsRequest.AlterReplicaLogDir(path=path, topics=[target])
    response = await client.call(AlterReplicaLogDirsRequest(dirs=[directory]))
    return ErrorCode(response.results[0].partitions[0].error_code)


def test_each_data_directory_with_what_it_holds() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0, 0)
        described = await log_dirs(client)
        assert list(described) == [DATA_DIR, "/more"]
        assert {code for code, _, _ in described.values()} == {CODE.NONE}
        assert all(sized for _, _, sized in described.values())
        (held_here,), (held_there,) = (topics["t"] for _, topics, _ in described.values())
        assert {held_here, held_there} == {0, 1}
        assert await place(client, DATA_DIR, held_here) is CODE.NONE
        assert await place(client, "/more", held_here) is CODE.UNSUPPORTED_VERSION

        disk.fail(Kind.WRITE, "/more/t-", errno.EIO)
        await send(client, make_batch(), index=held_there)
        described = await log_dirs(client)
        assert described[DATA_DIR] == (CODE.NONE, {"t": [held_here]}, True)
        assert described["/more"] == (CODE.KAFKA_STORAGE_ERROR, {}, False)
        assert await place(client, "/more", held_here) is CODE.KAFKA_STORAGE_ERROR
        assert await place(client, DATA_DIR, held_there) is CODE.KAFKA_STORAGE_ERROR

    play(scenario, f"log.dirs={DATA_DIR},/more", fs=disk.fs)


def test_sizes_grow_with_what_is_written() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)

        async def size() -> int:
            (result,) = (await client.call(DescribeLogDirsRequest(topics=None))).results
            return int(result.topics[0].partitions[0].partition_size)

        assert await size() == 0
        await append(client)
        once = await size()
        await append(client)
        assert 0 < once < await size() == node.partition("t").log.size_bytes

    play(scenario)


def test_a_disk_that_does_not_answer_is_offline() -> None:
    disk = Disk(FaultyFileSystem())

    async def scenario(node: Node) -> None:
        client = await node.client()
        disk.fail(Kind.READ, DATA_DIR, errno.EIO)
        assert await log_dirs(client) == {DATA_DIR: (CODE.KAFKA_STORAGE_ERROR, {}, False)}

    play(scenario, fs=disk.fs)


# -- producers, brokers, the quorum ------------------------------------------------------------------------


def test_a_partition_asked_for_twice_is_answered_once() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        await append(client, producer_id=7, producer_epoch=2, base_sequence=0)
        wanted = DescribeProducersRequest.TopicRequest(name="t", partition_indexes=[0] * 5)
        (topic,) = (await client.call(DescribeProducersRequest(topics=[wanted, wanted]))).topics
        ((producer,),) = (row.active_producers for row in topic.partitions)
        assert (producer.producer_id, producer.producer_epoch, producer.last_sequence) == (7, 2, 0)

    play(scenario)


def test_a_live_broker_is_not_unregistered() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        response = await client.call(UnregisterBrokerRequest(broker_id=node.broker.node_id))
        assert response.error_code == CODE.INVALID_REQUEST
        assert response.error_message
        assert node.broker.metadata.image.live_broker(node.broker.node_id) is not None

    play(scenario)


def test_the_quorum_names_this_node_its_directory_and_where_it_is() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()

        async def described() -> tuple[Any, Any]:
            wanted = DescribeQuorumRequest.TopicData(
                topic_name="__cluster_metadata",
                partitions=[DescribeQuorumRequest.PartitionData(partition_index=0)],
            )
            response = await client.call(DescribeQuorumRequest(topics=[wanted]))
            return response.topics[0].partitions[0], response.nodes

        before, nodes = await described()
        await topic_with(client, 0)
        after, _ = await described()
        assert after.high_watermark > before.high_watermark
        (voter,) = after.current_voters
        identity = read_meta_properties(node.fs, "/metadata/meta.properties")
        assert identity is not None
        assert voter.replica_directory_id == uuid_from_str(identity.directory_id)
        assert [(row.name, row.host, row.port) for row in nodes[0].listeners] == [
            ("PLAINTEXT", "127.0.0.1", node.port)
        ]
        await node.restart()
        client = await node.client()
        again, _ = await described()
        assert again.leader_epoch == after.leader_epoch + 1

    play(scenario, "metadata.log.dir=/metadata")


def test_a_partition_without_its_leader_can_elect_no_other() -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        await topic_with(client, 0)
        topic: Any = node.broker.metadata.image.topics["t"]
        topic.partitions[0] = topic.partitions[0]._replace(leader_id=-1)
        for type_, code in (
            (0, CODE.PREFERRED_LEADER_NOT_AVAILABLE),
            (1, CODE.ELIGIBLE_LEADERS_NOT_AVAILABLE),
        ):
            for wanted in (None, [ElectLeadersRequest.TopicPartitions(topic="t", partitions=[0])]):
                response = await client.call(
                    ElectLeadersRequest(election_type=type_, topic_partitions=wanted)
                )
                ((row,),) = (result.partition_result for result in response.replica_election_results)
                assert (row.partition_id, row.error_code) == (0, code)

    play(scenario)


# -- what is not kept --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity", "key", "value"),
    [
        ({"user": "me"}, "producer_byte_rate", 1024.0),
        ({"user": None, "client-id": "c"}, "request_percentage", 0.5),
        ({"ip": "127.0.0.1"}, "connection_creation_rate", 10.0),
    ],
    ids=repr,
)
def test_a_quota_that_kafka_would_take_is_refused_aloud(
    entity: dict[str, str | None], key: str, value: float
) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        entry = AlterClientQuotasRequest.EntryData(
            entity=[_Entity(entity_type=type_, entity_name=name) for type_, name in entity.items()],
            ops=[AlterClientQuotasRequest.OpData(key=key, value=value)],
        )
        (row,) = (await client.call(AlterClientQuotasRequest(entries=[entry]))).entries
        assert row.error_code == CODE.UNSUPPORTED_VERSION
        assert row.error_message
        assert {part.entity_type: part.entity_name for part in row.entity} == entity

    play(scenario)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 0.0])
def test_a_quota_that_is_no_number_is_refused(value: float) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        entry = AlterClientQuotasRequest.EntryData(
            entity=[_Entity(entity_type="user", entity_name="u")],
            ops=[AlterClientQuotasRequest.OpData(key="producer_byte_rate", value=value)],
        )
        (row,) = (await client.call(AlterClientQuotasRequest(entries=[entry]))).entries
        assert row.error_code == CODE.INVALID_REQUEST

    play(scenario)


@pytest.mark.parametrize(("mechanism", "iterations"), [(1, 4096), (2, 16384)])
def test_a_credential_that_kafka_would_take_is_refused_aloud(mechanism: int, iterations: int) -> None:
    async def scenario(node: Node) -> None:
        client = await node.client()
        upsertion = AlterUserScramCredentialsRequest.ScramCredentialUpsertion(
            name="me", mechanism=mechanism, iterations=iterations, salt=b"salt", salted_password=b"p" * 32
        )
        (row,) = (await client.call(AlterUserScramCredentialsRequest(upsertions=[upsertion]))).results
        assert (row.user, row.error_code) == ("me", CODE.UNSUPPORTED_VERSION)

    play(scenario)

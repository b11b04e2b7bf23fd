"""Questions to the group coordinator about offsets that are committed in a transaction, request by request."""

from __future__ import annotations

from typing import Any

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.offset_commit import OffsetCommitRequest
from protocol.messages.offset_delete import OffsetDeleteRequest
from protocol.messages.offset_fetch import OffsetFetchRequest
from protocol.messages.sync_group import SyncGroupRequest
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest
from tests.compat.questions.asking import answered
from tests.support.patience import until_settled
from tests.support.transaction_talk import Identity, Producer, topic_made

E = ErrorCode
Row = tuple[str, int, int]
"""(topic, partition, offset)"""


class Talk:
    """A topic of two partitions, a group and a producer, all named after the topic."""

    def __init__(self, client: Client, topic: str) -> None:
        self.client = client
        self.topic = topic
        self.group = f"group-of-{topic}"
        self.producer = Producer(client, f"id-of-{topic}")

    @classmethod
    async def begin(cls, client: Client, topic: str) -> Talk:
        talk = cls(client, topic)
        await topic_made(client, topic, 2)
        request = FindCoordinatorRequest(key_type=0, coordinator_keys=[talk.group])

        async def ask() -> Any:
            return (await client.call(request, version=4)).coordinators[0]

        await until_settled(ask, lambda row: E(row.error_code))
        await until_settled(talk.fetch, lambda answer: answer[1])
        await talk.producer.begin()
        return talk

    async def commit(
        self,
        *rows: Row,
        version: int = 5,
        identity: Identity | None = None,
        group: str | None = None,
        metadata: str = "",
        **member: Any,
    ) -> list[ErrorCode]:
        """Commit in the transaction, for partition 0 unless told otherwise; return the codes, sorted by place."""
        producer_id, epoch = self.producer.identity if identity is None else identity
        topics = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
        partition = TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition
        request = TxnOffsetCommitRequest(
            transactional_id=self.producer.transactional_id,
            group_id=self.group if group is None else group,
            producer_id=producer_id,
            producer_epoch=epoch,
            topics=[
                topics(
                    name=name,
                    partitions=[
                        partition(partition_index=index, committed_offset=offset, committed_metadata=metadata)
                    ],
                )
                for name, index, offset in rows or ((self.topic, 0, 5),)
            ],
            **member,
        )

        async def ask() -> list[tuple[Any, ...]]:
            response = await self.client.call(request, version=version)
            return sorted(
                (topic.name, row.partition_index, E(row.error_code))
                for topic in response.topics
                for row in topic.partitions
            )

        answer = await until_settled(ask, lambda answer: answer[0][-1])
        return [row[-1] for row in answer]

    async def commit_plainly(self, offset: int) -> ErrorCode:
        topic = OffsetCommitRequest.OffsetCommitRequestTopic
        partition = OffsetCommitRequest.OffsetCommitRequestPartition
        request = OffsetCommitRequest(
            group_id=self.group,
            topics=[
                topic(name=self.topic, partitions=[partition(partition_index=0, committed_offset=offset)])
            ],
        )
        response = await self.client.call(request, version=8)
        return E(response.topics[0].partitions[0].error_code)

    async def fetch(self, *, stable: bool = False, index: int = 0, version: int = 8) -> tuple[int, ErrorCode]:
        """What the group has committed for a partition."""
        if version < 8:
            flat = OffsetFetchRequest.OffsetFetchRequestTopic(name=self.topic, partition_indexes=[index])
            request = OffsetFetchRequest(group_id=self.group, topics=[flat], require_stable=stable)
            response = await self.client.call(request, version=version)
        else:
            topic = OffsetFetchRequest.OffsetFetchRequestTopics(name=self.topic, partition_indexes=[index])
            group = OffsetFetchRequest.OffsetFetchRequestGroup(group_id=self.group, topics=[topic])
            request = OffsetFetchRequest(groups=[group], require_stable=stable)
            response = (await self.client.call(request, version=version)).groups[0]
        if response.error_code:
            return -1, E(response.error_code)
        (row,) = response.topics[0].partitions
        return row.committed_offset, E(row.error_code)

    async def fetch_all(self, *, stable: bool) -> list[tuple[int, int, ErrorCode]]:
        """(partition, offset, code) of all that the group has committed."""
        group = OffsetFetchRequest.OffsetFetchRequestGroup(group_id=self.group, topics=None)
        response = await self.client.call(
            OffsetFetchRequest(groups=[group], require_stable=stable), version=8
        )
        return sorted(
            (row.partition_index, row.committed_offset, E(row.error_code))
            for topic in response.groups[0].topics
            for row in topic.partitions
        )

    async def fetch_settled(self, **fields: Any) -> tuple[int, ErrorCode]:
        """What is committed once the marker is there."""
        answer = (-1, E.UNSTABLE_OFFSET_COMMIT)
        while answer[1] is E.UNSTABLE_OFFSET_COMMIT:
            answer = await self.fetch(stable=True, **fields)
        return answer


# -- when they count -----------------------------------------------------------------------------------------

_PENDING = [(-1, E.NONE), (-1, E.UNSTABLE_OFFSET_COMMIT)]


@answered([[E.NONE, E.NONE, *_PENDING, E.NONE, (version, E.NONE)] for version in range(5)])
async def offsets_count_once_the_transaction_commits(client: Client, topic: str) -> Any:
    answers = []
    for version in range(5):
        talk = await Talk.begin(client, f"{topic}-{version}")
        answers.append(
            [
                await talk.producer.add_offsets(talk.group),
                (await talk.commit((talk.topic, 0, version), version=version))[0],
                await talk.fetch(),
                await talk.fetch(stable=True),
                await talk.producer.commit(),
                await talk.fetch_settled(),
            ]
        )
    return answers


@answered([[E.NONE], *_PENDING, E.NONE, (5, E.NONE), [E.NONE], E.NONE, (5, E.NONE)])
async def brokers_add_the_group_to_transactions_of_version_2(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    return [
        await talk.commit(),
        await talk.fetch(),
        await talk.fetch(stable=True),
        await talk.producer.commit(version=5),
        await talk.fetch_settled(),
        await talk.commit((topic, 0, 9)),
        await talk.producer.abort(version=5),
        await talk.fetch_settled(),
    ]


@answered([(5, E.NONE), (-1, E.NONE), (-1, E.UNSTABLE_OFFSET_COMMIT), (-1, E.UNSTABLE_OFFSET_COMMIT)])
async def who_wants_stable_offsets_may_say_so_since_version_7(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    await talk.commit_plainly(5)
    await talk.commit((topic, 1, 6))
    return [
        await talk.fetch(stable=True),
        await talk.fetch(index=1, version=7),
        await talk.fetch(index=1, version=7, stable=True),
        await talk.fetch(index=1, version=8, stable=True),
    ]


@answered([[(0, 5, E.NONE)], [(0, -1, E.UNSTABLE_OFFSET_COMMIT)]])
async def all_that_is_committed_does_not_tell_what_is_only_pending(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    await talk.commit_plainly(5)
    await talk.commit((topic, 0, 6), (topic, 1, 6))
    return [await talk.fetch_all(stable=stable) for stable in (False, True)]


@answered([(7, E.NONE), (7, E.NONE)])
async def a_later_commit_outside_of_the_transaction_stays(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    await talk.commit((topic, 0, 5))
    await talk.commit_plainly(7)
    before = await talk.fetch()
    await talk.producer.commit(version=5)
    return [before, await talk.fetch_settled()]


@answered([E.NONE, (-1, E.NONE), E.NONE, (-1, E.NONE)])
async def a_deleted_group_does_not_come_back_with_the_marker(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    await talk.commit()
    deleted = await client.call(DeleteGroupsRequest(groups_names=[talk.group]), version=2)
    return [
        E(deleted.results[0].error_code),
        await talk.fetch(stable=True),
        await talk.producer.commit(version=5),
        await talk.fetch_settled(),
    ]


@answered([E.NONE, (-1, E.NONE), E.NONE, (-1, E.NONE), (5, E.NONE)])
async def a_deleted_offset_does_not_come_back_with_the_marker(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    await talk.commit((topic, 0, 5), (topic, 1, 5))
    partition = OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=0)
    doomed = OffsetDeleteRequest.OffsetDeleteRequestTopic(name=topic, partitions=[partition])
    deleted = await client.call(OffsetDeleteRequest(group_id=talk.group, topics=[doomed]), version=0)
    return [
        E(deleted.topics[0].partitions[0].error_code),
        await talk.fetch(stable=True),
        await talk.producer.commit(version=5),
        await talk.fetch_settled(),
        await talk.fetch_settled(index=1),
    ]


# -- what is refused -----------------------------------------------------------------------------------------


@answered([[E.INVALID_TXN_STATE]] * 4 + [[E.TRANSACTION_ABORTABLE]])
async def a_group_that_is_not_part_of_the_transaction(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    assert await talk.producer.add_one(topic) is E.NONE
    return [await talk.commit(version=version) for version in range(5)]


@answered([[E.INVALID_TXN_STATE], [E.TRANSACTION_ABORTABLE]])
async def no_transaction_has_begun(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    return [await talk.commit(version=version) for version in (3, 4)]


@answered(
    [
        [E.INVALID_PRODUCER_EPOCH],
        [E.INVALID_PRODUCER_EPOCH],
        [E.INVALID_PRODUCER_EPOCH],
        [E.INVALID_PRODUCER_EPOCH],
        [E.INVALID_PRODUCER_ID_MAPPING],
        [E.INVALID_PRODUCER_ID_MAPPING],
        [E.NONE],
        [E.INVALID_PRODUCER_EPOCH],
    ]
)
async def not_the_producer_of_the_transactional_id(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    old = talk.producer.identity
    await until_settled(talk.producer.init, lambda told: told.code)
    await talk.producer.add_offsets(talk.group)
    later = Identity(old.producer_id, old.epoch + 9)
    stranger = Identity(old.producer_id + 100_000, 0)
    return [
        await talk.commit(version=4, identity=old),
        await talk.commit(version=5, identity=old),
        await talk.commit(version=4, identity=later),
        await talk.commit(version=5, identity=later),
        await talk.commit(version=4, identity=stranger),
        await talk.commit(version=5, identity=stranger),
        await talk.commit(),
        await talk.commit(identity=old),
    ]


@answered(
    [
        [E.UNKNOWN_TOPIC_OR_PARTITION] * 3,
        [E.NONE, E.UNKNOWN_TOPIC_OR_PARTITION],
        [E.OFFSET_METADATA_TOO_LARGE],
        [E.INVALID_GROUP_ID],
    ]
)
async def what_cannot_be_committed(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    nothing = ((f"{topic}-no-such", 0, 5), (topic, 2, 5), (topic, -1, 5))
    return [
        await talk.commit(*nothing, version=4),
        await talk.commit((topic, 0, 5), (topic, 2, 5)),
        await talk.commit(metadata="x" * 4097),
        await talk.commit(group=""),
    ]


@answered([[E.ILLEGAL_GENERATION], [E.ILLEGAL_GENERATION], [E.NONE], [E.NONE]])
async def a_group_that_does_not_exist(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    return [
        await talk.commit(member_id="m", generation_id_or_member_epoch=0),
        await talk.commit(generation_id_or_member_epoch=3),
        await talk.commit(member_id="m"),
        await talk.commit(),
    ]


# -- members -------------------------------------------------------------------------------------------------


async def classic_member(talk: Talk, instance_id: str | None = None) -> tuple[str, int]:
    """Join a group of the classic protocol, and sync; return member id and generation."""
    protocol = JoinGroupRequest.JoinGroupRequestProtocol(name="range", metadata=b"")
    request = JoinGroupRequest(
        group_id=talk.group,
        session_timeout_ms=30_000,
        rebalance_timeout_ms=30_000,
        member_id="",
        group_instance_id=instance_id,
        protocol_type="consumer",
        protocols=[protocol],
    )
    response = await talk.client.call(request, version=5)
    if response.error_code == E.MEMBER_ID_REQUIRED:
        request.member_id = response.member_id
        response = await talk.client.call(request, version=5)
    assert response.error_code == E.NONE
    sync = SyncGroupRequest(
        group_id=talk.group,
        generation_id=response.generation_id,
        member_id=response.member_id,
        group_instance_id=instance_id,
        assignments=[],
    )
    assert (await talk.client.call(sync, version=4)).error_code == E.NONE
    return response.member_id, response.generation_id


@answered(
    [
        [E.NONE],
        [E.ILLEGAL_GENERATION],
        [E.ILLEGAL_GENERATION],
        [E.ILLEGAL_GENERATION],
        [E.UNKNOWN_MEMBER_ID],
        [E.UNKNOWN_MEMBER_ID],
        [E.UNKNOWN_MEMBER_ID],
        [E.NONE],
        E.NONE,
        (5, E.NONE),
    ]
)
async def a_member_of_a_classic_group(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    member, generation = await classic_member(talk)
    return [
        await talk.commit(member_id=member, generation_id_or_member_epoch=generation),
        await talk.commit(member_id=member, generation_id_or_member_epoch=generation + 1),
        await talk.commit(member_id=member, generation_id_or_member_epoch=generation - 1),
        await talk.commit(member_id=member),
        await talk.commit(member_id="nobody", generation_id_or_member_epoch=generation),
        await talk.commit(generation_id_or_member_epoch=generation),
        await talk.commit(
            member_id=member, generation_id_or_member_epoch=generation, group_instance_id="nobody"
        ),
        await talk.commit(version=5),  # says nothing of a member
        await talk.producer.commit(version=5),
        await talk.fetch_settled(),
    ]


@answered([[E.NONE], [E.FENCED_INSTANCE_ID], [E.FENCED_INSTANCE_ID]])
async def a_static_member_of_a_classic_group(client: Client, topic: str) -> Any:
    talk = await Talk.begin(client, topic)
    member, generation = await classic_member(talk, "instance")
    static = {"group_instance_id": "instance", "generation_id_or_member_epoch": generation}
    return [
        await talk.commit(member_id=member, **static),
        await talk.commit(member_id="twin", **static),
        await talk.commit(member_id="twin", group_instance_id="instance"),
    ]


@answered(
    [
        [E.NONE],
        [E.ILLEGAL_GENERATION],
        [E.ILLEGAL_GENERATION],
        [E.UNKNOWN_MEMBER_ID],
        [E.UNKNOWN_MEMBER_ID],
        [E.NONE],
        [E.NONE],
    ]
)
async def a_member_of_a_group_of_consumers(client: Client, topic: str) -> Any:
    """Its epochs are called generations here; a version for that came later."""
    talk = await Talk.begin(client, topic)
    request = ConsumerGroupHeartbeatRequest(
        group_id=talk.group,
        member_id="m",
        member_epoch=0,
        subscribed_topic_names=[topic],
        rebalance_timeout_ms=30_000,
        topic_partitions=[],
    )
    joined = await client.call(request, version=1)
    assert joined.error_code == E.NONE
    epoch = joined.member_epoch
    return [
        await talk.commit(member_id="m", generation_id_or_member_epoch=epoch),
        await talk.commit(member_id="m", generation_id_or_member_epoch=epoch + 1),
        await talk.commit(member_id="m"),
        await talk.commit(member_id="nobody", generation_id_or_member_epoch=epoch),
        await talk.commit(generation_id_or_member_epoch=epoch),
        await talk.commit(version=3, member_id="m", generation_id_or_member_epoch=epoch),
        await talk.commit(),
    ]

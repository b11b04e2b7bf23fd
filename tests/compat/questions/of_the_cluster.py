"""Questions about the cluster: its quorum and brokers, access rules, quotas, users."""

from __future__ import annotations

from typing import Any

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.alter_client_quotas import AlterClientQuotasRequest
from protocol.messages.alter_user_scram_credentials import AlterUserScramCredentialsRequest
from protocol.messages.create_acls import CreateAclsRequest
from protocol.messages.delete_acls import DeleteAclsRequest
from protocol.messages.describe_acls import DescribeAclsRequest
from protocol.messages.describe_client_quotas import DescribeClientQuotasRequest
from protocol.messages.describe_quorum import DescribeQuorumRequest
from protocol.messages.describe_user_scram_credentials import DescribeUserScramCredentialsRequest
from protocol.messages.unregister_broker import UnregisterBrokerRequest
from tests.compat.questions.asking import answered, codes

E = ErrorCode

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

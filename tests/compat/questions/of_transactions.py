"""Questions to the transaction coordinator, request by request.

Answers show producer ids as who they belong to, and epochs as they are. Where it does not matter whether markers are
written already, a question asks again on what a client would ask again on.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.describe_transactions import DescribeTransactionsRequest
from protocol.messages.find_coordinator import FindCoordinatorRequest
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.list_transactions import ListTransactionsRequest
from tests.compat.questions.asking import answered, settled
from tests.support.patience import until_settled
from tests.support.transaction_talk import (
    Identity,
    Producer,
    Told,
    all_committed,
    committed,
    topic_made,
)

E = ErrorCode


async def producer(client: Client, topic: str, **fields: Any) -> Producer:
    """A producer with an identity, whose transactional id is named after the topic."""
    made = Producer(client, f"id-of-{topic}")
    await made.begin(**fields)
    return made


def seen(told: Told, *known: Identity) -> tuple[ErrorCode, int | str, int]:
    """(code, whose producer id: its place in `known`, epoch)."""
    ids = [identity.producer_id for identity in known]
    producer_id = told.identity.producer_id
    whose: int | str = ids.index(producer_id) if producer_id in ids else "none" if producer_id < 0 else "new"
    return told.code, whose, told.identity.epoch


# -- where it is -----------------------------------------------------------------------------------------


@answered([(E.NONE, 1)] * 6 + [(E.NONE, 1)] * 2)
async def the_coordinator_is_found(client: Client, topic: str) -> Any:
    await Producer(client, topic).find()
    found = []
    for version in range(1, 7):
        which = {"coordinator_keys": [topic]} if version >= 4 else {"key": topic}
        response = await client.call(FindCoordinatorRequest(key_type=1, **which), version=version)
        row = response.coordinators[0] if version >= 4 else response
        found.append((E(row.error_code), row.node_id))
    many = FindCoordinatorRequest(key_type=1, coordinator_keys=[topic, ""])
    response = await client.call(many, version=4)
    return found + [(E(row.error_code), row.node_id) for row in response.coordinators]


# -- identities ------------------------------------------------------------------------------------------


@answered([(E.NONE, 0, epoch) for epoch in range(1, 7)])
async def every_start_of_a_producer_has_the_next_epoch(client: Client, topic: str) -> Any:
    one = await producer(client, topic)
    return [seen(await one.init(version), one.identity) for version in range(6)]


@answered(
    [
        (E.INVALID_TRANSACTION_TIMEOUT, "none", -1),
        (E.INVALID_TRANSACTION_TIMEOUT, "none", -1),
        (E.INVALID_TRANSACTION_TIMEOUT, "none", -1),
        (E.INVALID_REQUEST, "none", -1),
        (E.INVALID_REQUEST, "none", -1),
        (E.INVALID_REQUEST, "none", -1),
    ]
)
async def identities_that_cannot_be(client: Client, topic: str) -> Any:
    one, nameless = Producer(client, topic), Producer(client, "")
    await one.find()
    return [
        seen(await one.init(timeout_ms=0)),
        seen(await one.init(timeout_ms=-1)),
        seen(await one.init(timeout_ms=900_001)),
        seen(await one.init(current=Identity(1, -1))),
        seen(await one.init(current=Identity(-1, 1))),
        seen(await nameless.init()),
    ]


@answered([(E.NONE, 0, 1), (E.NONE, 0, 2), (E.NONE, 0, 2), (E.PRODUCER_FENCED, "none", -1)])
async def a_producer_that_says_who_it_was(client: Client, topic: str) -> Any:
    """KIP-360: the next epoch; the same again when the answer got lost; fenced when somebody came in between."""
    one = await producer(client, topic)
    first = one.identity
    return [
        seen(await one.init(current=first), first),
        seen(await one.init(current=Identity(first.producer_id, 1)), first),
        seen(await one.init(current=Identity(first.producer_id, 1)), first),
        seen(await one.init(current=first), first),
    ]


@answered([(E.PRODUCER_FENCED, "none", -1), (E.INVALID_PRODUCER_EPOCH, "none", -1)])
async def a_stranger_says_who_it_was(client: Client, topic: str) -> Any:
    one = await producer(client, topic)
    stranger = Identity(one.identity.producer_id + 100_000, 0)
    return [seen(await one.init(version, current=stranger)) for version in (5, 3)]


@answered([(E.NONE, "new", 0)])
async def an_unknown_id_of_somebody_who_says_who_it_was(client: Client, topic: str) -> Any:
    one = Producer(client, topic)
    await one.find()
    return [seen(await until_settled(lambda: one.init(current=Identity(7, 3)), lambda told: told.code))]


@answered([[(E.CONCURRENT_TRANSACTIONS, "none", -1)], (E.NONE, 0, 2), []])
async def a_new_start_aborts_what_is_open(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    first = one.identity
    assert await one.add_one(topic) is E.NONE
    assert await one.produce(topic, b"aborted") is E.NONE
    another = Producer(client, one.transactional_id)
    at_once = [seen(await another.init())]
    afterwards = seen(await until_settled(another.init, lambda told: told.code), first)
    await all_committed(client, topic, [])
    return [at_once, afterwards, await committed(client, topic)]


@answered([E.NONE, E.NONE, E.NONE])
async def an_identity_without_a_transactional_id(client: Client, _topic: str) -> Any:
    request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0)

    async def ask(version: int) -> E:
        return E((await client.call(request, version=version)).error_code)

    # Kafka that has just started has no block of ids yet: clients ask again.
    return [await until_settled(partial(ask, version), lambda code: code) for version in (0, 4, 5)]


# -- who is not known ------------------------------------------------------------------------------------


@answered([[E.INVALID_PRODUCER_ID_MAPPING] * 4, [E.INVALID_REQUEST] * 4])
async def an_id_that_nobody_used(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    outcome = []
    for name in (f"unused-{topic}", ""):
        nobody = Producer(client, name)
        nobody.identity = Identity(1, 0)
        await nobody.find()
        outcome.append(
            [
                await nobody.add_one(topic),
                await nobody.add_offsets("g"),
                (await nobody.end(commit=True)).code,
                (await nobody.end(commit=False, version=5)).code,
            ]
        )
    return outcome


_FENCED, _OLD_FENCED, _MAPPING = E.PRODUCER_FENCED, E.INVALID_PRODUCER_EPOCH, E.INVALID_PRODUCER_ID_MAPPING


@answered(
    {
        "too old": [
            [_OLD_FENCED, _OLD_FENCED, _FENCED, _FENCED, _FENCED, _FENCED],
            [_OLD_FENCED, _OLD_FENCED, _FENCED, _FENCED, _FENCED],
            [_OLD_FENCED, _OLD_FENCED, _FENCED, _FENCED, _FENCED, _FENCED],
        ],
        "too new": [
            [_OLD_FENCED, _OLD_FENCED, _FENCED, _FENCED, _FENCED, _FENCED],
            [_OLD_FENCED, _OLD_FENCED, _FENCED, _FENCED, _FENCED],
            [_OLD_FENCED, _OLD_FENCED, _FENCED, _FENCED, _FENCED, _FENCED],
        ],
        "another id": [[_MAPPING] * 6, [_MAPPING] * 5, [_MAPPING] * 6],
    }
)
async def who_one_is_not(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    await one.init()
    producer_id, epoch = one.identity
    outcome = {}
    for name, identity in {
        "too old": Identity(producer_id, epoch - 1),
        "too new": Identity(producer_id, epoch + 1),
        "another id": Identity(producer_id + 100_000, epoch),
    }.items():
        one.identity = identity
        outcome[name] = [
            [await one.add_one(topic, version=version) for version in range(6)],
            [await one.add_offsets("g", version=version) for version in range(5)],
            [(await one.end(commit=True, version=version)).code for version in range(6)],
        ]
    return outcome


# -- what takes part -------------------------------------------------------------------------------------


@answered([[E.NONE] * 6, [E.NONE] * 5])
async def partitions_and_offsets_take_part_in_every_version(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    outcome = [
        [await one.add_one(topic, version=version) for version in range(6)],
        [await one.add_offsets("g", version=version) for version in range(5)],
    ]
    assert await one.abort() is E.NONE
    return outcome


@answered(
    [
        {
            ("t", 0): E.OPERATION_NOT_ATTEMPTED,
            ("t", 7): E.UNKNOWN_TOPIC_OR_PARTITION,
            ("no-t", 0): E.UNKNOWN_TOPIC_OR_PARTITION,
            ("__consumer_offsets", 0): E.TOPIC_AUTHORIZATION_FAILED,
        }
    ]
    * 2
    + [
        {("t", 0): E.OPERATION_NOT_ATTEMPTED, ("t", -1): E.UNKNOWN_TOPIC_OR_PARTITION},
        {("t", 0): E.NONE},
    ]
)
async def all_partitions_or_none(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    assert await one.add_offsets("g") is E.NONE  # the topic of offsets exists
    outcome = [
        await one.add((topic, 0), (topic, 7), (f"no-{topic}", 0), ("__consumer_offsets", 0), version=version)
        for version in (0, 3)
    ]
    outcome.append(await one.add((topic, 0), (topic, -1), version=4))
    outcome.append(await one.add((topic, 0)))
    assert await one.abort() is E.NONE
    return [
        {(name.replace(topic, "t"), index): code for (name, index), code in row.items()} for row in outcome
    ]


@answered([{}, {}])
async def no_partitions(client: Client, topic: str) -> Any:
    one = await producer(client, topic)
    return [await one.add(), await one.add(version=4)]


@answered(
    {
        "before": [E.TRANSACTION_ABORTABLE] * 2,
        "in it": [E.NONE] * 2,
        "another": [E.TRANSACTION_ABORTABLE] * 2,
        "after": [E.TRANSACTION_ABORTABLE] * 2,
    }
)
async def whether_a_partition_takes_part(client: Client, topic: str) -> Any:
    await topic_made(client, topic, 2)
    one = await producer(client, topic)

    async def verified(index: int = 0) -> list[ErrorCode]:
        return [await one.add_one(topic, index, version=version, verify_only=True) for version in (4, 5)]

    outcome = {"before": await verified()}
    assert await one.add_one(topic) is E.NONE
    outcome["in it"], outcome["another"] = await verified(), await verified(1)
    assert await one.commit() is E.NONE
    await until_settled(lambda: one.add_one(topic, 0, version=5, verify_only=True), lambda code: code)
    outcome["after"] = await verified()
    return outcome


# -- the end ---------------------------------------------------------------------------------------------


@answered([[E.INVALID_TXN_STATE] * 5, [E.INVALID_TXN_STATE] * 5, (E.INVALID_TXN_STATE, "none", -1)])
async def nothing_to_end(client: Client, topic: str) -> Any:
    one = await producer(client, topic)
    return [
        [(await one.end(commit=True, version=version)).code for version in range(5)],
        [(await one.end(commit=False, version=version)).code for version in range(5)],
        seen(await one.end(commit=True, version=5)),
    ]


@answered([(E.NONE, 0, 1), (E.NONE, 0, 2)])
async def an_abort_of_nothing_in_the_second_version(client: Client, topic: str) -> Any:
    """The producer may have sent batches that nobody took."""
    one = await producer(client, topic)
    first = one.identity
    told = [
        await until_settled(lambda: one.end(commit=False, version=5), lambda told: told.code) for _ in "ab"
    ]
    return [seen(each, first) for each in told]


@answered(
    [
        [E.NONE, E.NONE, E.INVALID_TXN_STATE],
        [E.NONE, E.NONE, E.INVALID_TXN_STATE],
        [b"committed"],
    ]
)
async def a_transaction_is_ended_again(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    outcome: list[Any] = []
    for commit, value in ((True, b"committed"), (False, b"aborted")):
        assert await until_settled(lambda: one.add_one(topic), lambda code: code) is E.NONE
        assert await one.produce(topic, value) is E.NONE
        ends = []
        for again in (commit, commit, not commit):
            told = await until_settled(
                lambda commit=again: one.end(commit=commit),  # type: ignore[misc]
                lambda told: told.code,
            )
            ends.append(told.code)
        outcome.append(ends)
    await all_committed(client, topic, [b"committed"])
    return [*outcome, await committed(client, topic)]


@answered(
    [
        (E.NONE, 0, 1),
        (E.NONE, 0, 1),
        (E.INVALID_TXN_STATE, "none", -1),
        (E.INVALID_TXN_STATE, "none", -1),
        (E.NONE, 0, 2),
    ]
)
async def a_transaction_is_ended_again_in_the_second_version(client: Client, topic: str) -> Any:
    """The epoch tells whether a request comes again: with the former one, it does."""
    await topic_made(client, topic)
    one = await producer(client, topic)
    first = one.identity
    assert await one.produce(topic, b"v", version=12) is E.NONE

    async def end(identity: Identity, *, commit: bool) -> Told:
        async def ask() -> Told:
            one.identity = identity
            return await one.end(commit=commit, version=5)

        return await until_settled(ask, lambda told: told.code)

    told = [
        await end(first, commit=True),
        await end(first, commit=True),
        await end(first, commit=False),
        await end(Identity(first.producer_id, 1), commit=True),
        await end(Identity(first.producer_id, 1), commit=False),
    ]
    return [seen(each, first) for each in told]


# -- records ---------------------------------------------------------------------------------------------


@answered(
    {
        10: [E.INVALID_TXN_STATE, E.NONE],
        11: [E.TRANSACTION_ABORTABLE, E.NONE],
        "values": [b"10", b"11"],
    }
)
async def records_of_a_partition_that_takes_no_part(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    outcome: dict[Any, Any] = {}
    for version in (10, 11):
        one = Producer(client, f"{version}-{topic}")
        await one.begin()
        value = b"%d" % version
        first = await one.produce(topic, value, version=version)
        assert await one.add_one(topic) is E.NONE
        outcome[version] = [first, await one.produce(topic, value, version=version)]
        assert await one.commit() is E.NONE
    await all_committed(client, topic, outcome.setdefault("values", [b"10", b"11"]))
    return outcome


@answered([E.NONE, E.NONE, [(0, 1), (0, 2)], [b"committed"]])
async def the_broker_adds_partitions_in_the_second_version(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    first = one.identity
    codes, told = [], []
    for commit, value in ((True, b"committed"), (False, b"aborted")):
        codes.append(
            await until_settled(
                lambda value=value: one.produce(topic, value, version=12),  # type: ignore[misc]
                lambda code: code,
            )
        )
        told.append(seen(await one.end(commit=commit, version=5), first)[1:])
    await all_committed(client, topic, [b"committed"])
    return [*codes, told, await committed(client, topic)]


@answered([E.INVALID_PRODUCER_EPOCH, E.INVALID_PRODUCER_EPOCH])
async def records_of_who_was_fenced(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    one = await producer(client, topic)
    assert await one.produce(topic, b"aborted", version=12) is E.NONE
    another = Producer(client, one.transactional_id)
    await another.begin()
    await all_committed(client, topic, [])
    return [await one.produce(topic, b"late", version=version) for version in (11, 12)]


# -- looking on ------------------------------------------------------------------------------------------


@answered(
    [
        [(E.TRANSACTIONAL_ID_NOT_FOUND, "", [])],
        [(E.NONE, "Empty", [])],
        [(E.NONE, "Ongoing", [0, 2])],
        [(E.NONE, "CompleteCommit", [])],
    ]
)
async def transactions_are_described(client: Client, topic: str) -> Any:
    await topic_made(client, topic, 3)
    one = Producer(client, f"id-of-{topic}")
    await one.find()

    async def described() -> Any:
        request = DescribeTransactionsRequest(transactional_ids=[one.transactional_id])
        response = await client.call(request, version=0)
        rows = []
        for row in response.transaction_states:
            partitions = [index for each in row.topics for index in sorted(each.partitions)]
            assert row.transactional_id == one.transactional_id
            if row.error_code == 0:
                assert (row.producer_id, row.producer_epoch) == one.identity
                assert row.transaction_timeout_ms == 60_000
                assert (row.transaction_start_time_ms > 0) == (row.transaction_state != "Empty")
            rows.append((E(row.error_code), row.transaction_state, partitions))
        return rows

    outcome = [await described()]
    await one.begin()
    outcome.append(await described())
    assert set((await one.add((topic, 0), (topic, 2))).values()) == {E.NONE}
    outcome.append(await described())
    assert await one.commit() is E.NONE
    while (now := await described())[0][1] == "PrepareCommit":
        await asyncio.sleep(0.02)
    return [*outcome, now]


@answered(
    {
        "all": {"a": "Empty", "b": "Ongoing"},
        "empty": {"a": "Empty"},
        "empty or ongoing": {"a": "Empty", "b": "Ongoing"},
        "no such state": ({}, ["Nonsense", "empty"]),
        "one such state": ({"b": "Ongoing"}, ["Nonsense"]),
        "by producer": {"b": "Ongoing"},
        "by producer and state": {},
        "long": {"a": "Empty"},  # it did not begin, so Kafka takes it for endless
        "not long": {"a": "Empty", "b": "Ongoing"},
        "by pattern": {"a": "Empty"},
        "by part of a pattern": {},
        "no pattern": {"a": "Empty", "b": "Ongoing"},
        "a bad pattern": E.INVALID_REGULAR_EXPRESSION,
    }
)
async def transactions_are_listed(client: Client, topic: str) -> Any:
    await topic_made(client, topic)
    a, b = Producer(client, f"a-{topic}"), Producer(client, f"b-{topic}")
    for each in (a, b):
        await each.begin()
    assert await b.add_one(topic) is E.NONE

    async def listed(version: int = 0, **filters: Any) -> Any:
        response = await client.call(ListTransactionsRequest(**filters), version=version)
        if response.error_code:
            return E(response.error_code)
        ours = {
            row.transactional_id[0]: row.transaction_state
            for row in response.transaction_states
            if row.transactional_id in (a.transactional_id, b.transactional_id)
        }
        unknown = sorted(response.unknown_state_filters)
        return (ours, unknown) if unknown else ours

    outcome = {
        "all": await listed(),
        "empty": await listed(state_filters=["Empty"]),
        "empty or ongoing": await listed(state_filters=["Empty", "Ongoing"]),
        "no such state": await listed(state_filters=["Nonsense", "empty"]),
        "one such state": await listed(state_filters=["Nonsense", "Ongoing"]),
        "by producer": await listed(producer_id_filters=[b.identity.producer_id]),
        "by producer and state": await listed(
            producer_id_filters=[b.identity.producer_id], state_filters=["Empty"]
        ),
        "long": await listed(1, duration_filter=60_000),
        "not long": await listed(1, duration_filter=0),
        "by pattern": await listed(2, transactional_id_pattern=f"a-{topic}|nobody"),
        "by part of a pattern": await listed(2, transactional_id_pattern=topic),
        "no pattern": await listed(2, transactional_id_pattern=""),
        "a bad pattern": await listed(2, transactional_id_pattern="(a"),
    }
    assert await b.abort() is E.NONE
    return outcome


@answered([[E.NONE] * 3] * 3)
async def transactions_in_a_topic_that_stamps_its_records(client: Client, topic: str) -> Any:
    await client.create_topic(topic, configs={"message.timestamp.type": "LogAppendTime"})
    await settled(client, topic, 1)
    one = await producer(client, topic)
    outcome = []
    for _ in range(3):
        first = await until_settled(lambda: one.produce(topic, b"a", version=12), lambda code: code)
        then = await one.produce(topic, b"b", version=12)
        outcome.append([first, then, await one.commit(version=5)])
    return outcome

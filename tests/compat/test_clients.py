"""Every client over real sockets: every scenario with each that can do it, and cross reading."""

from __future__ import annotations

import pytest

from tests.compat import scenarios
from tests.support.clients import registry
from tests.support.clients.port import ACKS, CODECS, Ability, Acks, Client, Codec, Isolation
from tests.support.clients.registry import Entry

# Produces for a client that answers one call at a time, and reads what those of other languages wrote.
HELPER = registry.BY_NAME["confluent-kafka"]


def clients(*needed: Ability) -> pytest.MarkDecorator:
    able = [pytest.param(each.name, marks=each.marks) for each in registry.able_to(*needed)]
    return pytest.mark.parametrize("client", able, indirect=True)


with_codecs = pytest.mark.parametrize(
    ("client", "codec"),
    [pytest.param(each.name, codec, marks=each.marks) for each in registry.ENTRIES for codec in each.codecs],
    indirect=["client"],
)


def _pairs() -> list[tuple[Entry, Entry]]:
    """Python's clients read each other and Java's both ways; the others exchange records with one of them."""
    python, java = registry.of_toolchain(None), registry.of_toolchain("java")
    others = registry.of_toolchain("go", "node")
    pairs = [(writer, reader) for writer in python for reader in python + java]
    pairs += [(writer, reader) for writer in java for reader in python]
    return pairs + [(each, HELPER) for each in others] + [(HELPER, each) for each in others]


with_readers = pytest.mark.parametrize(
    ("client", "reader", "codec"),
    [
        pytest.param(writer.name, reader.name, codec, marks=writer.marks or reader.marks)
        for writer, reader in _pairs()
        for codec in CODECS
        if codec in writer.codecs and codec in reader.codecs
    ],
    indirect=["client", "reader"],
)


@pytest.fixture
def writer(client: Client, bootstrap: str) -> Client:
    """Who produces while the client waits: itself, or the helper."""
    alone = Ability.PARALLEL in registry.BY_NAME[client.name].abilities
    return client if alone else HELPER.make(bootstrap)


@pytest.mark.parametrize("acks", ACKS)
@with_codecs
def test_produce(client: Client, topic: str, acks: Acks, codec: Codec) -> None:
    scenarios.produce_and_read_back(client, topic, acks=acks, codec=codec, idempotent=False)


@with_codecs
def test_produce_idempotent(client: Client, topic: str, codec: Codec) -> None:
    scenarios.produce_and_read_back(client, topic, acks="all", codec=codec, idempotent=True)


@with_codecs
def test_large_batches(client: Client, topic: str, codec: Codec) -> None:
    scenarios.large_batches(client, topic, codec)


@clients()
def test_message_too_large(client: Client, topic: str) -> None:
    scenarios.message_too_large(client, topic)


@clients()
def test_auto_created_topic(client: Client, topic: str) -> None:
    scenarios.auto_created_topic(client, topic)


@pytest.mark.parametrize("start", scenarios.CONSUME_STARTS)
@clients()
def test_consume_from(client: Client, topic: str, start: str) -> None:
    scenarios.consume_from_start(client, topic, *scenarios.CONSUME_STARTS[start])


@pytest.mark.parametrize("start", scenarios.NEW_ONLY_STARTS)
@clients()
def test_consume_new_records_only(client: Client, topic: str, writer: Client, start: str) -> None:
    scenarios.consume_new_records_only(client, topic, scenarios.NEW_ONLY_STARTS[start], writer=writer)


@pytest.mark.parametrize("start", scenarios.NEW_ONLY_BY_RESET)
@clients(Ability.RESET_POLICY)
def test_reset_to_new_records_only(client: Client, topic: str, writer: Client, start: str) -> None:
    scenarios.consume_new_records_only(client, topic, scenarios.NEW_ONLY_BY_RESET[start], writer=writer)


@clients()
def test_who_waits_at_the_end_gets_what_comes(client: Client, topic: str, writer: Client) -> None:
    scenarios.who_waits_at_the_end_gets_what_comes(client, topic, writer=writer)


@clients(Ability.RESET_POLICY)
def test_out_of_range_resets_to_earliest(client: Client, topic: str) -> None:
    scenarios.out_of_range_resets_to_earliest(client, topic)


@clients(Ability.RESET_POLICY)
def test_no_position_resets_to_earliest(client: Client, topic: str) -> None:
    scenarios.no_position_resets_to_earliest(client, topic)


@clients()
def test_out_of_range_without_reset_fails(client: Client, topic: str) -> None:
    scenarios.out_of_range_without_reset_fails(client, topic)


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
@clients()
def test_isolation(client: Client, topic: str, isolation: Isolation) -> None:
    scenarios.read_committed_sees_plain_records(client, topic, isolation)


@clients()
def test_several_partitions(client: Client, topic: str) -> None:
    scenarios.several_partitions(client, topic)


@clients(Ability.NULL_HEADERS)
def test_null_header_value(client: Client, topic: str) -> None:
    scenarios.null_header_value(client, topic)


@clients()
def test_offsets_and_times(client: Client, topic: str) -> None:
    scenarios.offsets_and_times(client, topic)


@pytest.mark.parametrize("codec", ["none", "gzip"])
@clients()
def test_log_append_time(client: Client, topic: str, codec: Codec) -> None:
    scenarios.log_append_time(client, topic, codec)


# The codec is the topic's: what the client sends is made into that.
@with_codecs
def test_recompressed_by_topic(client: Client, topic: str, codec: Codec) -> None:
    scenarios.recompressed_by_topic(client, topic, "gzip" if codec != "gzip" else "none", codec)


@clients()
def test_topic_life(client: Client, topic: str) -> None:
    scenarios.topic_life(client, topic)


@clients()
def test_recreated_topic_is_empty(client: Client, topic: str) -> None:
    scenarios.recreated_topic_is_empty(client, topic)


@clients()
def test_cluster(client: Client, bootstrap: str) -> None:
    knows_id = Ability.CLUSTER_ID in registry.BY_NAME[client.name].abilities
    scenarios.cluster(client, bootstrap, knows_id=knows_id)


@with_readers
def test_cross_read(client: Client, reader: Client, topic: str, codec: Codec) -> None:
    scenarios.cross_read(client, reader, topic, codec)

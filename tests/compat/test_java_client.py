"""The Java clients 4.4.0, 4.3.1 and 3.9.1 over real sockets: every scenario, and cross reading."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.compat import scenarios
from tests.compat.test_python_clients import CLIENTS as PYTHON_CLIENTS
from tests.support import java
from tests.support.clients.java import JavaClient
from tests.support.clients.port import ACKS, CODECS, Acks, Client, Codec, Isolation

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

KITS = {f"java-{kit.name}": kit for kit in (java.CLIENT_4_4, java.KAFKA, java.CLIENT_3_9)}


@pytest.fixture(scope="module", params=KITS)
def client(request: pytest.FixtureRequest, bootstrap: str) -> Iterator[Client]:
    made = JavaClient(bootstrap, KITS[request.param])
    yield made
    made.close()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("acks", ACKS)
def test_produce(client: Client, topic: str, acks: Acks, codec: Codec) -> None:
    scenarios.produce_and_read_back(client, topic, acks=acks, codec=codec, idempotent=False)


@pytest.mark.parametrize("codec", CODECS)
def test_produce_idempotent(client: Client, topic: str, codec: Codec) -> None:
    scenarios.produce_and_read_back(client, topic, acks="all", codec=codec, idempotent=True)


@pytest.mark.parametrize("codec", CODECS)
def test_large_batches(client: Client, topic: str, codec: Codec) -> None:
    scenarios.large_batches(client, topic, codec)


def test_message_too_large(client: Client, topic: str) -> None:
    scenarios.message_too_large(client, topic)


def test_auto_created_topic(client: Client, topic: str) -> None:
    scenarios.auto_created_topic(client, topic)


@pytest.mark.parametrize("start", scenarios.CONSUME_STARTS)
def test_consume_from(client: Client, topic: str, start: str) -> None:
    scenarios.consume_from_start(client, topic, *scenarios.CONSUME_STARTS[start])


# One JVM answers one call at a time, so what needs a second client at work has a Python one produce.
@pytest.mark.parametrize("start", scenarios.NEW_ONLY_STARTS)
def test_consume_new_records_only(client: Client, bootstrap: str, topic: str, start: str) -> None:
    writer = PYTHON_CLIENTS["confluent-kafka"](bootstrap)
    scenarios.consume_new_records_only(client, topic, scenarios.NEW_ONLY_STARTS[start], writer=writer)


def test_long_poll_wakes_on_append(client: Client, bootstrap: str, topic: str) -> None:
    writer = PYTHON_CLIENTS["confluent-kafka"](bootstrap)
    scenarios.long_poll_wakes_on_append(client, topic, writer=writer)


def test_out_of_range_resets_to_earliest(client: Client, topic: str) -> None:
    scenarios.out_of_range_resets_to_earliest(client, topic)


def test_no_position_resets_to_earliest(client: Client, topic: str) -> None:
    scenarios.no_position_resets_to_earliest(client, topic)


def test_out_of_range_without_reset_fails(client: Client, topic: str) -> None:
    scenarios.out_of_range_without_reset_fails(client, topic)


@pytest.mark.parametrize("isolation", ["read_committed", "read_uncommitted"])
def test_isolation(client: Client, topic: str, isolation: Isolation) -> None:
    scenarios.read_committed_sees_plain_records(client, topic, isolation)


def test_several_partitions(client: Client, topic: str) -> None:
    scenarios.several_partitions(client, topic)


def test_offsets_and_times(client: Client, topic: str) -> None:
    scenarios.offsets_and_times(client, topic)


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_log_append_time(client: Client, topic: str, codec: Codec) -> None:
    scenarios.log_append_time(client, topic, codec)


@pytest.mark.parametrize("topic_codec", CODECS)
def test_recompressed_by_topic(client: Client, topic: str, topic_codec: Codec) -> None:
    scenarios.recompressed_by_topic(client, topic, "gzip" if topic_codec != "gzip" else "lz4", topic_codec)


def test_topic_life(client: Client, topic: str) -> None:
    scenarios.topic_life(client, topic)


def test_recreated_topic_is_empty(client: Client, topic: str) -> None:
    scenarios.recreated_topic_is_empty(client, topic)


def test_cluster(client: Client, bootstrap: str) -> None:
    scenarios.cluster(client, bootstrap)


def test_null_header_value(client: Client, topic: str) -> None:
    """Only the Java and C clients can send a header without a value."""
    scenarios.null_header_value(client, topic)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("other", PYTHON_CLIENTS)
def test_reads_what_python_wrote(
    client: Client, bootstrap: str, topic: str, other: str, codec: Codec
) -> None:
    scenarios.cross_read(PYTHON_CLIENTS[other](bootstrap), client, topic, codec)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("other", PYTHON_CLIENTS)
def test_python_reads_what_java_wrote(
    client: Client, bootstrap: str, topic: str, other: str, codec: Codec
) -> None:
    scenarios.cross_read(client, PYTHON_CLIENTS[other](bootstrap), topic, codec)

"""What only the Java admin client asks, in each of its versions: more than the scenarios of test_client_admin.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat.scenarios import STEP_MS, T0, messages
from tests.support.clients import registry
from tests.support.clients.java import JavaClient
from tests.support.clients.java_admin import ListedOffset
from tests.support.clients.port import ClientError

pytestmark = pytest.mark.parametrize(
    "client",
    [pytest.param(each.name, marks=each.marks) for each in registry.of_toolchain("java")],
    indirect=True,
)

NODE = 1
METADATA_4_3 = 30


@pytest.mark.parametrize(
    ("at", "timestamp_ms", "expected"),
    [
        ("earliest", 0, ListedOffset(0, -1, 0)),
        ("earliest_local", 0, ListedOffset(0, -1, 0)),
        ("latest", 0, ListedOffset(10, -1, 0)),
        ("max_timestamp", 0, ListedOffset(9, T0 + 9 * STEP_MS, 0)),
        ("timestamp", T0 + 3 * STEP_MS + 1, ListedOffset(4, T0 + 4 * STEP_MS, 0)),
        ("timestamp", T0 + 3_600_000, ListedOffset(-1, -1, None)),
        ("latest_tiered", 0, ListedOffset(-1, -1, None)),
    ],
    ids=["earliest", "earliest_local", "latest", "max_timestamp", "between", "later", "latest_tiered"],
)
def test_offsets_of_every_kind(
    client: JavaClient, topic: str, at: str, timestamp_ms: int, expected: ListedOffset
) -> None:
    client.create_topic(topic)
    client.produce(topic, messages(10))
    assert client.list_offset(topic, at, timestamp_ms) == expected


def test_offsets_of_an_empty_partition(client: JavaClient, topic: str) -> None:
    client.create_topic(topic)
    assert client.list_offset(topic, "max_timestamp") == ListedOffset(-1, -1, None)
    assert client.list_offset(topic, "latest").offset == 0


def test_partitions_with_assignments(client: JavaClient, topic: str) -> None:
    client.create_topic(topic)
    client.create_partitions_on(topic, 3, [NODE, NODE])
    assert client.describe_topic(topic).leaders == (NODE,) * 3
    for nodes in ([77, NODE], [NODE]):  # no such broker; not one for each
        with pytest.raises(ClientError) as refused:
            client.create_partitions_on(topic, 5, nodes)
        assert refused.value.name == "INVALID_REPLICA_ASSIGNMENT"
    assert client.describe_topic(topic).partitions == (0, 1, 2)


def test_where_a_replica_is(client: JavaClient, topic: str, data_dir: Path) -> None:
    client.create_topic(topic)
    assert client.describe_replica(topic) == (str(data_dir), 0, False)
    assert client.describe_replica(topic, 5) == (None, -1, False)


def test_unclean_election(client: JavaClient, topic: str) -> None:
    client.create_topic(topic)
    assert client.elect_leaders(topic, [0, 7], "UNCLEAN") == {
        0: "ELECTION_NOT_NEEDED",
        7: "UNKNOWN_TOPIC_OR_PARTITION",
    }


def test_producers(client: JavaClient, topic: str) -> None:
    """One for each that was idempotent, none for others; not of a partition that is not there."""
    client.create_topic(topic)
    client.produce(topic, messages(3))
    assert client.describe_producers(topic) == []
    for count in (4, 7):
        client.produce(topic, messages(count), idempotent=True)
    assert sorted(each.last_sequence for each in client.describe_producers(topic)) == [3, 6]


def test_features(client: JavaClient, topic: str) -> None:
    assert client.describe_features()["metadata.version"] == (METADATA_4_3, METADATA_4_3)


def test_quorum(client: JavaClient, topic: str) -> None:
    """The metadata log grows with what is decided."""
    before = client.describe_metadata_quorum()
    assert (before.leader, before.voters, before.observers) == (NODE, (NODE,), 0)
    client.create_topic(topic)
    assert client.describe_metadata_quorum().high_watermark > before.high_watermark


def test_quotas_and_users(client: JavaClient, topic: str) -> None:
    assert (client.describe_quotas(), client.describe_scram()) == (0, 0)

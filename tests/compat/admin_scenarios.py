"""What administration beyond topics must do, written once against the port's admin side.

test_client_admin.py runs each with every client that offers it. Topics are made, filled and read with `client`;
`admin` is the same library's admin client.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat.scenarios import STEP_MS, T0, messages, plain, read_as
from tests.support.clients.admin_port import Admin, Resource, Setting, Source
from tests.support.clients.port import Client, ClientError
from tests.support.patience import wait_until

DEFAULT_SEGMENT_BYTES = "1073741824"
DEFAULT_RETENTION_MS = "604800000"


def describe_topic_configs(client: Client, admin: Admin, topic: str) -> None:
    """What was set when the topic was made, and the defaults of everything else."""
    client.create_topic(topic, configs={"retention.ms": "123456"})
    found = admin.describe_configs(Resource("topic", topic))
    _is_set(found["retention.ms"], "123456", Source.TOPIC)
    _is_set(found["segment.bytes"], DEFAULT_SEGMENT_BYTES, Source.DEFAULT)
    _is_set(found["cleanup.policy"], "delete", Source.DEFAULT)
    assert not found["retention.ms"].read_only


def describe_broker_configs(client: Client, admin: Admin, topic: str) -> None:
    """A broker's own properties, under its node id."""
    ((node, _, _),) = client.describe_cluster().nodes
    found = admin.describe_configs(Resource("broker", str(node)))
    _is_set(found["message.max.bytes"], "1048588", Source.DEFAULT)
    assert not found["message.max.bytes"].read_only
    assert found["node.id"].value == str(node)
    assert found["node.id"].read_only is not False


def describe_configs_of_no_topic(client: Client, admin: Admin, topic: str) -> None:
    resource = Resource("topic", topic)
    if admin.name == "kafka-python":  # does not look at the error
        assert admin.describe_configs(resource) == {}
    else:
        _refused("UNKNOWN_TOPIC_OR_PARTITION", lambda: admin.describe_configs(resource))


def change_configs(client: Client, admin: Admin, topic: str) -> None:
    """Values are set one by one, take effect at once, and go back to their default."""
    resource = Resource("topic", topic)
    client.create_topic(topic, configs={"retention.ms": "123456"})
    admin.change_configs(resource, {"max.message.bytes": "10000"})
    found = admin.describe_configs(resource)
    _is_set(found["max.message.bytes"], "10000", Source.TOPIC)
    _is_set(found["retention.ms"], "123456", Source.TOPIC)
    large = plain([b"x" * 20_000])
    _refused("MESSAGE_TOO_LARGE", lambda: client.produce(topic, large, max_request_size=100_000))
    admin.change_configs(resource, {"segment.bytes": "2000000"}, ("max.message.bytes",))
    found = admin.describe_configs(resource)
    _is_set(found["segment.bytes"], "2000000", Source.TOPIC)
    assert found["max.message.bytes"].source is Source.DEFAULT
    assert client.produce(topic, large, max_request_size=100_000) == [0]


def change_broker_configs(client: Client, admin: Admin, topic: str) -> None:
    """A broker's property changes while it runs; topics without a value of their own follow.

    Kafka's broker answers before it has taken the change over.
    """
    ((node, _, _),) = client.describe_cluster().nodes
    resource = Resource("broker", str(node))
    client.create_topic(topic)

    def shows(resource: Resource, name: str, value: str, source: Source) -> bool:
        return admin.describe_configs(resource)[name][:2] == (value, source)

    admin.change_configs(resource, {"log.retention.ms": "86400001"})
    try:
        wait_until(lambda: shows(resource, "log.retention.ms", "86400001", Source.BROKER))
        wait_until(lambda: shows(Resource("topic", topic), "retention.ms", "86400001", Source.BROKER))
    finally:
        admin.change_configs(resource, {}, ("log.retention.ms",))
    wait_until(lambda: shows(Resource("topic", topic), "retention.ms", DEFAULT_RETENTION_MS, Source.DEFAULT))


def change_broker_configs_wrongly(client: Client, admin: Admin, topic: str) -> None:
    """What can be set at the start only."""
    ((node, _, _),) = client.describe_cluster().nodes
    resource = Resource("broker", str(node))
    _refused("INVALID_REQUEST", lambda: admin.change_configs(resource, {"log.dirs": "/elsewhere"}))


def change_configs_wrongly(client: Client, admin: Admin, topic: str) -> None:
    """Nothing of a refused change is kept."""
    resource = Resource("topic", topic)
    client.create_topic(topic)
    wrong = {"retention.ms": "1000", "segment.bytes": "many"}
    _refused("INVALID_CONFIG", lambda: admin.change_configs(resource, wrong))
    _refused("INVALID_CONFIG", lambda: admin.change_configs(resource, {"no.such.property": "1"}))
    _is_set(admin.describe_configs(resource)["retention.ms"], DEFAULT_RETENTION_MS, Source.DEFAULT)


def alter_configs(client: Client, admin: Admin, topic: str) -> None:
    """The old call replaces everything that was set."""
    resource = Resource("topic", topic)
    client.create_topic(topic, configs={"retention.ms": "123456"})
    admin.alter_configs(resource, {"max.message.bytes": "10000"})
    found = admin.describe_configs(resource)
    _is_set(found["max.message.bytes"], "10000", Source.TOPIC)
    if admin.name == "kafka-python":  # adds what is set already to what it sends
        _is_set(found["retention.ms"], "123456", Source.TOPIC)
    else:
        _is_set(found["retention.ms"], DEFAULT_RETENTION_MS, Source.DEFAULT)
    _refused("INVALID_CONFIG", lambda: admin.alter_configs(resource, {"segment.bytes": "many"}))


def create_partitions(client: Client, admin: Admin, topic: str) -> None:
    """New partitions take records; fewer than there are is refused."""
    client.create_topic(topic, partitions=1)
    sent = messages(4)
    client.produce(topic, sent)
    admin.create_partitions(topic, 3)
    assert client.describe_topic(topic).partitions == (0, 1, 2)
    assert client.produce(topic, sent, partition=2) == [0, 1, 2, 3]
    assert client.consume(topic, 4, partitions=(2,)) == read_as(sent, partition=2)
    assert client.consume(topic, 4) == read_as(sent)
    _refused("INVALID_PARTITIONS", lambda: admin.create_partitions(topic, 2))


def delete_records(client: Client, admin: Admin, topic: str) -> None:
    """What lies before an offset is gone at once; -1 empties the partition; offsets go on."""
    sent = messages(10)
    client.create_topic(topic)
    client.produce(topic, sent)
    assert admin.delete_records(topic, 4) in {4, None}
    assert client.offset_range(topic) == (4, 10)
    assert client.consume(topic, 6) == read_as(sent)[4:]
    assert admin.delete_records(topic, -1) in {10, None}
    assert client.offset_range(topic) == (10, 10)
    assert client.produce(topic, sent[:1]) == [10]


def delete_too_many_records(client: Client, admin: Admin, topic: str) -> None:
    client.create_topic(topic)
    client.produce(topic, messages(3))
    _refused("OFFSET_OUT_OF_RANGE", lambda: admin.delete_records(topic, 4))
    assert client.offset_range(topic) == (0, 3)


def list_offsets(client: Client, admin: Admin, topic: str) -> None:
    _stored(client, topic)
    assert admin.list_offsets(topic, "earliest") == 0
    assert admin.list_offsets(topic, "latest") == 10
    assert admin.list_offsets(topic, "timestamp", T0 + 3 * STEP_MS + 1) == 4
    assert admin.list_offsets(topic, "timestamp", T0 + 3_600_000) is None


def list_max_timestamp(client: Client, admin: Admin, topic: str) -> None:
    """The record with the largest time need not be the last one."""
    client.create_topic(topic)
    sent = messages(5)
    client.produce(topic, [sent[0], sent[4], sent[1]])
    assert admin.list_offsets(topic, "max_timestamp") == 1


def describe_log_dirs(client: Client, admin: Admin, topic: str, data_dir: Path) -> None:
    """Sizes in the directory that the broker was given."""
    client.create_topic(topic, partitions=2)
    client.produce(topic, messages(10, size=1_000))
    sizes = [each for each in admin.describe_log_dirs() if each.topic == topic]
    assert {each.directory for each in sizes} == {str(data_dir)}
    by_partition = {each.partition: each.size for each in sizes}
    stored = (data_dir / f"{topic}-0" / "00000000000000000000.log").stat().st_size
    assert by_partition == {0: stored, 1: 0}


def describe_producers(client: Client, admin: Admin, topic: str) -> None:
    """An idempotent producer is known by the last sequence that it wrote."""
    client.create_topic(topic)
    client.produce(topic, messages(10), idempotent=True)
    (producer,) = admin.describe_producers(topic)
    assert producer.producer_id >= 0
    assert (producer.epoch, producer.last_sequence) == (0, 9)


def elect_leaders(client: Client, admin: Admin, topic: str) -> None:
    """On one node the preferred replica always leads already."""
    client.create_topic(topic, partitions=2)
    assert admin.elect_leaders(topic, [0, 1]) == {0: "ELECTION_NOT_NEEDED", 1: "ELECTION_NOT_NEEDED"}


def list_reassignments(client: Client, admin: Admin, topic: str) -> None:
    client.create_topic(topic)
    assert admin.list_reassignments(topic) == 0


def cancel_reassignment(client: Client, admin: Admin, topic: str) -> None:
    client.create_topic(topic)
    _refused("NO_REASSIGNMENT_IN_PROGRESS", lambda: admin.cancel_reassignment(topic))


def describe_acls(client: Client, admin: Admin, topic: str) -> None:
    """Without an authorizer there are no ACLs to speak of."""
    if admin.name == "confluent-kafka":  # does not look at the error
        assert admin.describe_acls() == 0
    else:
        _refused("SECURITY_DISABLED", admin.describe_acls)


def describe_quotas(client: Client, admin: Admin, topic: str) -> None:
    assert admin.describe_quotas() == 0


def describe_scram(client: Client, admin: Admin, topic: str) -> None:
    assert admin.describe_scram() == 0


def describe_quorum(client: Client, admin: Admin, topic: str) -> None:
    ((node, _, _),) = client.describe_cluster().nodes
    assert admin.describe_quorum() == node


def describe_topic_partitions(client: Client, admin: Admin, topic: str) -> None:
    client.create_topic(topic, partitions=3)
    ((node, _, _),) = client.describe_cluster().nodes
    assert admin.describe_topic_partitions(topic) == [(0, node), (1, node), (2, node)]


def list_config_resources(client: Client, admin: Admin, topic: str) -> None:
    client.create_topic(topic)
    ((node, _, _),) = client.describe_cluster().nodes
    found = admin.list_config_resources()
    assert Resource("topic", topic) in found
    assert Resource("broker", str(node)) in found


def _is_set(setting: Setting, value: str, source: Source) -> None:
    assert (setting.value, setting.source) == (value, source)


def _refused(name: str, call: Callable[[], object]) -> None:
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.name == name, refused.value


def _stored(client: Client, topic: str) -> None:
    client.create_topic(topic)
    client.produce(topic, messages(10))

"""kafka-topics, kafka-configs: what they print, and that what they did is so.

The tools are Kafka's, unchanged (tests/support/kafka_tools.py). Messages of refusals are the broker's own words, so
only the names of errors and the facts in them are held.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.compat.conftest import AGAINST_KAFKA
from tests.compat.scenarios import T0, plain
from tests.support import java
from tests.support.clients.confluent import ConfluentClient
from tests.support.kafka_tools import KafkaTools
from tests.support.patience import wait_until

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

NODE = "1"
_SETTING = re.compile(r"  (\S+?)=(.*) sensitive=(true|false) synonyms=\{(.*)\}")


class TestTopics:
    """kafka-topics"""

    def test_create_describe_list(self, tool: KafkaTools, topic: str) -> None:
        created = tool(
            "kafka-topics",
            "--create",
            "--topic",
            topic,
            "--partitions",
            "2",
            "--config",
            "retention.ms=100000",
        )
        assert created.lines == [f"Created topic {topic}."]
        head, *partitions = tool("kafka-topics", "--describe", "--topic", topic).lines
        fields = dict(field.split(": ", 1) for field in head.split("\t"))
        assert (fields["Topic"], fields["PartitionCount"], fields["ReplicationFactor"]) == (topic, "2", "1")
        # Kafka sets min.insync.replicas for all brokers when it formats, so it stands here, too.
        assert "retention.ms=100000" in fields["Configs"].split(",")
        assert [line.split() for line in partitions] == [
            f"Topic: {topic} Partition: {index} Leader: {NODE} Replicas: {NODE} Isr: {NODE} Elr: LastKnownElr:".split()
            for index in range(2)
        ]
        assert topic in tool("kafka-topics", "--list").lines

    def test_create_with_broker_defaults(self, tool: KafkaTools, topic: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        assert "PartitionCount: 1\tReplicationFactor: 1" in described(tool, topic)

    def test_create_again(self, tool: KafkaTools, topic: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        again = tool("kafka-topics", "--create", "--topic", topic, exit_code=1)
        assert "TopicExistsException" in again.stderr
        assert topic in again.stdout
        assert tool("kafka-topics", "--create", "--topic", topic, "--if-not-exists").stdout == ""

    def test_create_with_assignment(self, tool: KafkaTools, topic: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic, "--replica-assignment", f"{NODE},{NODE},{NODE}")
        assert "PartitionCount: 3\tReplicationFactor: 1" in described(tool, topic)

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            (("--replication-factor", "3"), "InvalidReplicationFactorException"),
            (("--config", "retention.ms=-7"), "InvalidConfigurationException|ConfigException"),
            (("--replica-assignment", "77"), "InvalidReplicaAssignmentException"),
        ],
    )
    def test_create_wrongly(
        self, tool: KafkaTools, topic: str, arguments: tuple[str, ...], error: str
    ) -> None:
        refused = tool("kafka-topics", "--create", "--topic", topic, *arguments, exit_code=1)
        assert re.search(error, refused.stderr)
        assert topic not in tool("kafka-topics", "--list").lines

    def test_create_under_a_wrong_name(self, tool: KafkaTools) -> None:
        refused = tool("kafka-topics", "--create", "--topic", "no/good", exit_code=1)
        assert "InvalidTopicException" in refused.stderr
        assert "'no/good'" in refused.stdout

    def test_more_partitions(self, tool: KafkaTools, topic: str, bootstrap: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        assert tool("kafka-topics", "--alter", "--topic", topic, "--partitions", "3").stdout == ""
        assert ConfluentClient(bootstrap).describe_topic(topic).partitions == (0, 1, 2)
        fewer = tool("kafka-topics", "--alter", "--topic", topic, "--partitions", "2", exit_code=1)
        assert "InvalidPartitionsException" in fewer.stderr
        assert "PartitionCount: 3" in described(tool, topic)

    def test_delete(self, tool: KafkaTools, topic: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        assert tool("kafka-topics", "--delete", "--topic", topic).stdout == ""
        assert topic not in tool("kafka-topics", "--list").lines

    @pytest.mark.parametrize("command", [("--describe",), ("--delete",), ("--alter", "--partitions", "2")])
    def test_of_no_topic(self, tool: KafkaTools, topic: str, command: tuple[str, ...]) -> None:
        refused = tool("kafka-topics", *command, "--topic", topic, exit_code=1)
        assert f"Topic '{topic}' does not exist" in refused.stdout
        assert tool("kafka-topics", *command, "--topic", topic, "--if-exists").stdout == ""

    def test_describe_a_part(self, tool: KafkaTools, topic: str) -> None:
        """A pattern of names, by id, only overrides, and what is wrong: nothing is."""
        tool("kafka-topics", "--create", "--topic", topic, "--config", "flush.ms=1000")
        (found,) = tool(
            "kafka-topics", "--describe", "--topics-with-overrides", "--topic", f"{topic[:-2]}.*"
        ).lines
        assert "flush.ms=1000" in found
        match = re.search(r"TopicId: (\S+)", found)
        assert match is not None
        by_id = tool("kafka-topics", "--describe", "--topic-id", match.group(1)).stdout
        assert f"Topic: {topic}\t" in by_id
        for wrong in (
            "--unavailable-partitions",
            "--under-replicated-partitions",
            "--under-min-isr-partitions",
            "--at-min-isr-partitions",
        ):
            shown = tool("kafka-topics", "--describe", "--topic", topic, wrong).lines
            # One replica and min.insync.replicas=1: at the minimum, never below it.
            assert len(shown) == (1 if wrong == "--at-min-isr-partitions" else 0), wrong


class TestTopicConfigs:
    """kafka-configs on topics"""

    def test_alter_and_describe(self, tool: KafkaTools, topic: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        assert tool("kafka-configs", "--describe", "--topic", topic).lines == [
            f"Dynamic configs for topic {topic} are:"
        ]
        altered = alter(tool, topic, "--add-config", "retention.ms=1234567,cleanup.policy=[compact,delete]")
        assert altered == [f"Completed updating config for topic {topic}."]
        assert settings(tool, "--topic", topic) == {
            "cleanup.policy": (
                "compact,delete",
                "DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete",
            ),
            "retention.ms": ("1234567", "DYNAMIC_TOPIC_CONFIG:retention.ms=1234567"),
        }
        alter(tool, topic, "--delete-config", "cleanup.policy", "--add-config", "flush.ms=9")
        assert settings(tool, "--topic", topic).keys() == {"retention.ms", "flush.ms"}

    def test_all(self, tool: KafkaTools, topic: str) -> None:
        """Every property with its value and where that comes from."""
        tool("kafka-topics", "--create", "--topic", topic, "--config", "segment.bytes=2000000")
        found = settings(tool, "--topic", topic, "--all")
        assert found["segment.bytes"] == (
            "2000000",
            "DYNAMIC_TOPIC_CONFIG:segment.bytes=2000000, DEFAULT_CONFIG:log.segment.bytes=1073741824",
        )
        assert found["max.message.bytes"] == ("1048588", "DEFAULT_CONFIG:message.max.bytes=1048588")
        assert found["flush.ms"] == ("9223372036854775807", "")
        assert len(found) > 25

    def test_from_a_file(self, tool: KafkaTools, topic: str, tmp_path: Path) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        properties = tmp_path / "topic.properties"
        properties.write_text("max.message.bytes=5000\nflush.ms=9\n")
        alter(tool, topic, "--add-config-file", str(properties))
        found = settings(tool, "--topic", topic)
        assert {name: value for name, (value, _) in found.items()} == {
            "max.message.bytes": "5000",
            "flush.ms": "9",
        }

    def test_takes_effect(self, tool: KafkaTools, topic: str, bootstrap: str) -> None:
        """The next record has the broker's time instead of its producer's."""
        tool("kafka-topics", "--create", "--topic", topic)
        client = ConfluentClient(bootstrap)
        client.produce(topic, plain([b"a"]))
        alter(tool, topic, "--add-config", "message.timestamp.type=LogAppendTime")
        client.produce(topic, plain([b"b"]))
        first, second = client.consume(topic, 2)
        assert first.message.timestamp_ms == T0
        assert abs(second.message.timestamp_ms - time.time() * 1000) < 60_000

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ("nosuch=1", "InvalidConfigurationException"),
            ("segment.bytes=12", "InvalidConfigurationException"),
            ("retention.ms=soon", "InvalidConfigurationException"),
            ("cleanup.policy=shred", "InvalidConfigurationException"),
        ],
    )
    def test_alter_wrongly(self, tool: KafkaTools, topic: str, change: str, error: str) -> None:
        tool("kafka-topics", "--create", "--topic", topic)
        refused = tool(
            "kafka-configs", "--alter", "--topic", topic, "--add-config", f"flush.ms=9,{change}", exit_code=1
        )
        assert error in refused.stderr
        assert settings(tool, "--topic", topic) == {}

    def test_of_no_topic(self, tool: KafkaTools, topic: str) -> None:
        refused = tool(
            "kafka-configs", "--alter", "--topic", topic, "--add-config", "flush.ms=9", exit_code=1
        )
        assert "UnknownTopicOrPartitionException" in refused.stderr
        described = tool("kafka-configs", "--describe", "--topic", topic)
        assert described.lines == [f"The topic '{topic}' doesn't exist and doesn't have dynamic config."]


class TestBrokerConfigs:
    """kafka-configs on brokers; Kafka's broker answers before it has taken a change over"""

    def test_one_broker(self, tool: KafkaTools) -> None:
        broker = ("--broker", NODE)
        altered = tool("kafka-configs", "--alter", *broker, "--add-config", "log.retention.ms=7777777")
        assert altered.lines == [f"Completed updating config for broker {NODE}."]
        try:
            wait_until(lambda: settings(tool, *broker).get("log.retention.ms", ("", ""))[0] == "7777777")
            assert settings(tool, *broker)["log.retention.ms"][1] == (
                "DYNAMIC_BROKER_CONFIG:log.retention.ms=7777777, DEFAULT_CONFIG:log.retention.hours=168"
            )
        finally:
            tool("kafka-configs", "--alter", *broker, "--delete-config", "log.retention.ms")
        wait_until(lambda: "log.retention.ms" not in settings(tool, *broker))

    def test_all_brokers(self, tool: KafkaTools, topic: str) -> None:
        """The default of the cluster is every topic's, unless it has a value of its own."""
        tool("kafka-topics", "--create", "--topic", topic)
        defaults = ("--broker-defaults",)
        altered = tool("kafka-configs", "--alter", *defaults, "--add-config", "log.flush.interval.ms=7654321")
        assert altered.lines == ["Completed updating default config for brokers in the cluster."]
        try:
            wanted = ("7654321", "DYNAMIC_DEFAULT_BROKER_CONFIG:log.flush.interval.ms=7654321")
            wait_until(lambda: settings(tool, *defaults).get("log.flush.interval.ms") == wanted)
            wait_until(lambda: settings(tool, "--topic", topic, "--all")["flush.ms"][0] == wanted[0])
            assert settings(tool, "--topic", topic, "--all")["flush.ms"][1].startswith(wanted[1])
            everything = tool("kafka-configs", "--describe", "--entity-type", "brokers").lines
            assert "Default configs for brokers in the cluster are:" in everything
            assert any(line.startswith("  log.flush.interval.ms=7654321 ") for line in everything)
        finally:
            tool("kafka-configs", "--alter", *defaults, "--delete-config", "log.flush.interval.ms")
        wait_until(lambda: settings(tool, "--topic", topic, "--all")["flush.ms"][0] == "9223372036854775807")

    def test_everything_of_a_broker(self, tool: KafkaTools, data_dir: Path) -> None:
        found = settings(tool, "--broker", NODE, "--all")
        assert found["log.dirs"] == (str(data_dir), found["log.dirs"][1])
        assert found["log.dirs"][1].startswith("STATIC_BROKER_CONFIG:")
        assert found["message.max.bytes"] == ("1048588", "DEFAULT_CONFIG:message.max.bytes=1048588")
        assert len(found) > 100

    def test_read_only(self, tool: KafkaTools) -> None:
        refused = tool(
            "kafka-configs", "--alter", "--broker", NODE, "--add-config", "log.dirs=/elsewhere", exit_code=1
        )
        assert "InvalidRequestException" in refused.stderr
        assert "log.dirs" in refused.stderr

    def test_loggers(self, tool: KafkaTools) -> None:
        """A logger's level is set while the broker runs. Which loggers there are is each broker's own."""
        logger = "kafka.server.KafkaApis" if AGAINST_KAFKA else "logd.server"
        of_node = ("--entity-type", "broker-loggers", "--entity-name", NODE)
        before = settings(tool, *of_node)[logger][0]
        tool("kafka-configs", "--alter", *of_node, "--add-config", f"{logger}=ERROR")
        try:
            assert settings(tool, *of_node)[logger][0] == "ERROR"
        finally:
            tool("kafka-configs", "--alter", *of_node, "--add-config", f"{logger}={before}")
        assert settings(tool, *of_node)[logger][0] == before


class TestOtherConfigs:
    """kafka-configs on users, clients and the like"""

    def test_none_is_set(self, tool: KafkaTools) -> None:
        assert tool("kafka-configs", "--describe", "--entity-type", "users").stdout == ""
        assert tool("kafka-configs", "--describe", "--entity-type", "clients").stdout == ""
        assert tool("kafka-configs", "--describe", "--entity-type", "client-metrics").stdout == ""

    @pytest.mark.skipif(AGAINST_KAFKA, reason="what Kafka has and logd has not yet: see docs/gaps.md")
    @pytest.mark.parametrize(
        ("kind", "change", "error"),
        [
            ("clients", "producer_byte_rate=1000", "UnsupportedVersionException: quotas are not supported"),
            ("users", "SCRAM-SHA-256=[password=x]", "UnsupportedVersionException: SCRAM credentials"),
        ],
    )
    def test_setting_one_is_refused(self, tool: KafkaTools, kind: str, change: str, error: str) -> None:
        asked = ("--entity-type", kind, "--entity-name", "somebody", "--add-config", change)
        assert error in tool("kafka-configs", "--alter", *asked, exit_code=1).stderr


def described(tool: KafkaTools, topic: str) -> str:
    return tool("kafka-topics", "--describe", "--topic", topic).stdout


def alter(tool: KafkaTools, topic: str, *change: str) -> list[str]:
    return tool("kafka-configs", "--alter", "--topic", topic, *change).lines


def settings(tool: KafkaTools, *of: str) -> dict[str, tuple[str, str]]:
    """Return each property that the tool shows, with its value and its synonyms."""
    found = {}
    for line in tool("kafka-configs", "--describe", *of).lines[1:]:
        match = _SETTING.fullmatch(line)
        assert match is not None, line
        name, value, _, synonyms = match.groups()
        found[name] = (value, synonyms)
    return found

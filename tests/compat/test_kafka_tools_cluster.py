"""Kafka's tools that ask about the cluster, its brokers, leaders and directories.

The tools are Kafka's, unchanged (tests/support/kafka_tools.py). What they are told has to agree with what other
tools, the files and other clients say.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from protocol.api import APIS
from tests.compat.conftest import AGAINST_KAFKA
from tests.compat.scenarios import messages
from tests.support import java
from tests.support.clients.confluent import ConfluentClient
from tests.support.kafka_tools import KafkaTools

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

NODE = 1
_API = re.compile(r"\t(\w+)\((\d+)\): (\d+)(?: to (\d+))? \[usable: (\d+)\],?")


@pytest.fixture
def client(bootstrap: str) -> ConfluentClient:
    return ConfluentClient(bootstrap)


@pytest.fixture
def filled(topic: str, client: ConfluentClient) -> str:
    """A topic of two partitions, with records in the first."""
    client.create_topic(topic, partitions=2)
    client.produce(topic, messages(10, size=1_000))
    return topic


class TestBroker:
    """kafka-broker-api-versions, kafka-features, kafka-cluster, kafka-acls"""

    def test_api_versions(self, tool: KafkaTools, bootstrap: str) -> None:
        head, *lines = tool("kafka-broker-api-versions").lines
        assert head.startswith(f"{bootstrap} (id: {NODE} rack: null isFenced: false) -> (")
        shown = {}
        for line in lines:
            if match := _API.fullmatch(line):
                name, key, first, last, usable = match.groups()
                shown[int(key)] = (name, int(first), int(last or first))
                assert int(first) <= int(usable) <= int(last or first)
        if not AGAINST_KAFKA:
            assert shown == {
                key: (spec.name, spec.advertised_min, spec.max_version) for key, spec in APIS.items()
            }
        # A Kafka of any kind serves these; the tool would call an API that it does not know UNKNOWN.
        assert {0, 1, 2, 3, 18, 19, 20, 32, 44, 60, 75} <= shown.keys()
        assert not any("UNKNOWN" in line for line in lines)

    def test_features(self, tool: KafkaTools) -> None:
        lines = tool("kafka-features", "describe").lines
        (metadata,) = (line for line in lines if "Feature: metadata.version" in line)
        assert "FinalizedVersionLevel: 4.3-IV0" in metadata

    def test_cluster_id(self, tool: KafkaTools, client: ConfluentClient) -> None:
        shown = tool("kafka-cluster", "cluster-id").lines
        assert shown == [f"Cluster ID: {client.describe_cluster().cluster_id}"]

    def test_endpoints(self, tool: KafkaTools, bootstrap: str) -> None:
        host, port = bootstrap.split(":")
        for including in ((), ("--include-fenced-brokers",)):
            _, *rows = tool("kafka-cluster", "list-endpoints", *including).lines
            assert [row.split() for row in rows] == [[str(NODE), host, port, "null", "unfenced", "broker"]]

    def test_unregister_no_broker(self, tool: KafkaTools) -> None:
        refused = tool("kafka-cluster", "unregister", "--id", "77", exit_code=1)
        assert "BrokerIdNotRegisteredException" in refused.stderr

    @pytest.mark.parametrize(
        "command",
        [
            ("--list",),
            ("--add", "--allow-principal", "User:x", "--operation", "read", "--topic", "y"),
            ("--remove", "--force", "--allow-principal", "User:x", "--operation", "read", "--topic", "y"),
        ],
        ids=lambda command: command[0].lstrip("-"),
    )
    def test_acls(self, tool: KafkaTools, command: tuple[str, ...]) -> None:
        """Without an authorizer there are none, and the tool says so."""
        refused = tool("kafka-acls", *command, exit_code=1)
        assert "SecurityDisabledException" in refused.stdout


class TestQuorum:
    """kafka-metadata-quorum"""

    def test_status(self, tool: KafkaTools, client: ConfluentClient) -> None:
        shown = dict(
            line.split(":", 1) for line in tool("kafka-metadata-quorum", "describe", "--status").lines if line
        )
        found = {name: value.strip() for name, value in shown.items()}
        assert found["ClusterId"] == client.describe_cluster().cluster_id
        assert (found["LeaderId"], found["MaxFollowerLag"]) == (str(NODE), "0")
        assert int(found["HighWatermark"]) > 0
        (voter,) = json.loads(found["CurrentVoters"])
        assert voter["id"] == NODE
        assert found["CurrentObservers"] == "[]"

    @pytest.mark.parametrize("form", [(), ("--human-readable",)])
    def test_replication(self, tool: KafkaTools, form: tuple[str, ...]) -> None:
        before = self._log_end(tool, form)
        tool("kafka-topics", "--create", "--topic", f"quorum{len(form)}")
        assert self._log_end(tool, form) > before

    def _log_end(self, tool: KafkaTools, form: tuple[str, ...]) -> int:
        head, row = (
            line.split("\t")
            for line in tool("kafka-metadata-quorum", "describe", "--replication", *form).lines
        )
        shown = dict(zip((name.strip() for name in head), (value.strip() for value in row), strict=True))
        assert (shown["NodeId"], shown["Lag"], shown["Status"]) == (str(NODE), "0", "Leader")
        assert shown["LastCaughtUpTimestamp"].endswith(" ms ago") == bool(form)
        return int(shown["LogEndOffset"])


class TestLogDirs:
    """kafka-log-dirs"""

    def test_sizes(self, tool: KafkaTools, filled: str, data_dir: Path) -> None:
        (directory,) = self._of_node(tool, "--topic-list", filled)
        assert (directory["logDir"], directory["error"]) == (str(data_dir), None)
        stored = (data_dir / f"{filled}-0" / "00000000000000000000.log").stat().st_size
        assert sorted((each["partition"], each["size"]) for each in directory["partitions"]) == [
            (f"{filled}-0", stored),
            (f"{filled}-1", 0),
        ]
        assert not any(each["isFuture"] or each["offsetLag"] for each in directory["partitions"])

    def test_all_topics(self, tool: KafkaTools, filled: str) -> None:
        (directory,) = self._of_node(tool, "--broker-list", str(NODE))
        assert f"{filled}-1" in {each["partition"] for each in directory["partitions"]}

    def test_no_such_broker(self, tool: KafkaTools) -> None:
        refused = tool("kafka-log-dirs", "--describe", "--broker-list", "77", exit_code=1)
        assert f"Current existent brokers: {NODE}" in refused.stderr

    def _of_node(self, tool: KafkaTools, *asked: str) -> list[dict[str, Any]]:
        report = json.loads(tool("kafka-log-dirs", "--describe", *asked).lines[-1])
        (broker,) = report["brokers"]
        assert broker["broker"] == NODE
        directories: list[dict[str, Any]] = broker["logDirs"]
        return directories


class TestLeaderElection:
    """kafka-leader-election"""

    @pytest.mark.parametrize("kind", ["preferred", "unclean"])
    def test_not_needed(self, tool: KafkaTools, filled: str, kind: str) -> None:
        """On one node the preferred replica leads, and no partition is without a leader."""
        ran = tool("kafka-leader-election", "--election-type", kind, "--topic", filled, "--partition", "1")
        assert ran.lines == [f"Valid replica already elected for partitions {filled}-1"]

    def test_from_a_file(self, tool: KafkaTools, filled: str, tmp_path: Path) -> None:
        wanted = write(
            tmp_path, {"partitions": [{"topic": filled, "partition": index} for index in range(2)]}
        )
        ran = tool("kafka-leader-election", "--election-type", "preferred", "--path-to-json-file", wanted)
        (line,) = ran.lines
        assert set(line.removeprefix("Valid replica already elected for partitions ").split(", ")) == {
            f"{filled}-0",
            f"{filled}-1",
        }

    def test_everywhere(self, tool: KafkaTools, filled: str) -> None:
        ran = tool("kafka-leader-election", "--election-type", "preferred", "--all-topic-partitions")
        assert ran.stdout == ""

    def test_of_no_topic(self, tool: KafkaTools, topic: str) -> None:
        asked = ("--election-type", "preferred", "--topic", topic, "--partition", "0")
        refused = tool("kafka-leader-election", *asked, exit_code=1)
        assert f"partition: {topic}-0: " in refused.stdout
        assert "UnknownTopicOrPartitionException" in refused.stdout


class TestReassignment:
    """kafka-reassign-partitions: on one node everything is where it belongs"""

    def test_generate(self, tool: KafkaTools, filled: str, data_dir: Path, tmp_path: Path) -> None:
        topics = write(tmp_path, {"version": 1, "topics": [{"topic": filled}]})
        ran = tool(
            "kafka-reassign-partitions",
            *("--generate", "--topics-to-move-json-file", topics, "--broker-list", str(NODE)),
        )
        current, proposed = (json.loads(line) for line in ran.lines if line.startswith("{"))
        assert current == plan(filled, [NODE], str(data_dir))
        assert proposed == plan(filled, [NODE], "any")

    def test_execute_verify_cancel(self, tool: KafkaTools, filled: str, tmp_path: Path) -> None:
        wanted = ("--reassignment-json-file", write(tmp_path, plan(filled, [NODE])))
        executed = tool("kafka-reassign-partitions", "--execute", *wanted).stdout
        assert f"Successfully started partition reassignments for {filled}-0,{filled}-1" in executed
        verified = tool("kafka-reassign-partitions", "--verify", *wanted).stdout
        assert f"Reassignment of partition {filled}-0 is completed." in verified
        assert f"Reassignment of partition {filled}-1 is completed." in verified
        cancelled = tool("kafka-reassign-partitions", "--cancel", *wanted).stdout
        assert "None of the specified partition reassignments are active." in cancelled
        assert tool("kafka-reassign-partitions", "--list").lines == ["No partition reassignments found."]

    def test_throttled(self, tool: KafkaTools, filled: str, tmp_path: Path) -> None:
        """A throttle is a handful of dynamic properties; to verify takes them away again."""
        wanted = ("--reassignment-json-file", write(tmp_path, plan(filled, [NODE])))
        tool("kafka-reassign-partitions", "--execute", "--throttle", "1000000", *wanted)
        verified = tool("kafka-reassign-partitions", "--verify", *wanted).stdout
        assert f"Clearing topic-level throttles on topic {filled}" in verified
        for of in (("--broker", str(NODE)), ("--topic", filled)):
            assert "throttled" not in tool("kafka-configs", "--describe", *of).stdout

    def test_to_no_broker(self, tool: KafkaTools, filled: str, tmp_path: Path) -> None:
        wanted = write(tmp_path, plan(filled, [77]))
        refused = tool(
            "kafka-reassign-partitions", "--execute", "--reassignment-json-file", wanted, exit_code=1
        )
        assert "Unknown broker id 77" in refused.stdout

    def test_to_no_directory(self, tool: KafkaTools, filled: str, tmp_path: Path) -> None:
        """A replica's directory has to be one of the broker's."""
        wanted = write(tmp_path, plan(filled, [NODE], "/no/such/directory"))
        refused = tool(
            "kafka-reassign-partitions",
            *("--execute", "--timeout", "1000", "--reassignment-json-file", wanted),
            exit_code=1,
        )
        assert "LogDirNotFoundException" in refused.stdout


def plan(topic: str, replicas: list[int], directory: str | None = None) -> dict[str, Any]:
    where = {} if directory is None else {"log_dirs": [directory]}
    return {
        "version": 1,
        "partitions": [
            {"topic": topic, "partition": partition, "replicas": replicas} | where for partition in range(2)
        ],
    }


def write(directory: Path, value: dict[str, Any]) -> str:
    path = directory / "input.json"
    path.write_text(json.dumps(value))
    return str(path)

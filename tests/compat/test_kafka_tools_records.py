"""Kafka's tools that write, read, count and delete records.

The tools are Kafka's, unchanged (tests/support/kafka_tools.py). What a tool wrote is read back by a client that is
not made of the same code, and the other way round.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.compat.scenarios import STEP_MS, T0, messages, plain
from tests.support import java
from tests.support.clients.confluent import ConfluentClient
from tests.support.clients.port import Message
from tests.support.kafka_tools import KafkaTools

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

EVERYTHING = [
    argument
    for part in ("timestamp", "partition", "offset", "headers", "key")
    for argument in ("--formatter-property", f"print.{part}=true")
]


@pytest.fixture
def client(bootstrap: str) -> ConfluentClient:
    return ConfluentClient(bootstrap)


class TestConsoleProducer:
    """kafka-console-producer"""

    def test_keys_headers_nulls(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic)
        parse = ("parse.key=true", "parse.headers=true", "key.separator=:", "null.marker=NIL")
        lines = "h1:v1,h2:v2\tk1:value one\nh1:\tk2:NIL\nNIL\tk1:grüße\n"
        produce(tool, topic, lines, *(word for each in parse for word in ("--reader-property", each)))
        received = [each.message for each in client.consume(topic, 3)]
        assert [(each.key, each.value, each.headers) for each in received] == [
            (b"k1", b"value one", (("h1", b"v1"), ("h2", b"v2"))),
            (b"k2", None, (("h1", b""),)),
            (b"k1", "grüße".encode(), ()),
        ]

    @pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
    def test_compressed(self, tool: KafkaTools, topic: str, client: ConfluentClient, codec: str) -> None:
        client.create_topic(topic)
        produce(
            tool, topic, "".join(f"line {number}\n" for number in range(50)), "--compression-codec", codec
        )
        received = [each.message.value for each in client.consume(topic, 50)]
        assert received == [b"line %d" % number for number in range(50)]

    @pytest.mark.parametrize("acks", ["0", "1", "all"])
    def test_acks(self, tool: KafkaTools, topic: str, client: ConfluentClient, acks: str) -> None:
        client.create_topic(topic)
        produce(tool, topic, "a\nb\n", "--command-property", f"acks={acks}", "--timeout", "0", "--sync")
        assert [each.message.value for each in client.consume(topic, 2)] == [b"a", b"b"]

    def test_topic_is_made(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        produce(tool, topic, "first\n")
        assert [each.message.value for each in client.consume(topic, 1)] == [b"first"]


class TestConsoleConsumer:
    """kafka-console-consumer, of one partition"""

    def test_from_the_beginning(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic, partitions=2)
        sent = [
            Message(b"k%d" % number, b"v%d" % number, T0 + number, (("h", b"%d" % number),))
            for number in range(3)
        ]
        client.produce(topic, [*sent, Message(None, None, T0 + 3, ())], partition=1)
        read = consume(tool, topic, "earliest", 4, *EVERYTHING, partition=1)
        assert read == [
            *(f"CreateTime:{T0 + n}\tPartition:1\tOffset:{n}\th:{n}\tk{n}\tv{n}" for n in range(3)),
            f"CreateTime:{T0 + 3}\tPartition:1\tOffset:3\tNO_HEADERS\tnull\tnull",
        ]

    def test_from_an_offset(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic)
        client.produce(topic, plain([b"a", b"b", b"c", b"d"]))
        assert consume(tool, topic, "2", 2) == ["c", "d"]

    def test_end_of_partition(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        """It gives up after its time-out, and says how many it has read."""
        client.create_topic(topic)
        client.produce(topic, plain([b"a"]))
        asked = ("--topic", topic, "--partition", "0", "--offset", "earliest")
        for timeout_ms in ("1000", "5000", "30000"):  # which counts from its start, and is always waited out
            ran = tool("kafka-console-consumer", *asked, "--timeout-ms", timeout_ms)
            if ran.lines:
                break
        assert ran.lines == ["a"]
        assert "Processed a total of 1 messages" in ran.stderr

    def test_committed_only(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic)
        client.produce(topic, plain([b"a", b"b"]), codec="zstd", idempotent=True)
        assert consume(tool, topic, "earliest", 2, "--isolation-level", "read_committed") == ["a", "b"]

    def test_from_the_beginning_in_a_group(
        self, tool: KafkaTools, topic: str, client: ConfluentClient
    ) -> None:
        client.create_topic(topic)
        client.produce(topic, plain([b"a", b"b"]))
        ran = tool(
            "kafka-console-consumer",
            *("--topic", topic, "--from-beginning", "--max-messages", "2", "--timeout-ms", "60000"),
        )
        assert ran.lines == ["a", "b"]


class TestGetOffsets:
    """kafka-get-offsets"""

    @pytest.fixture
    def filled(self, topic: str, client: ConfluentClient) -> str:
        client.create_topic(topic, partitions=3)
        sent = messages(10)
        client.produce(topic, sent)
        client.produce(topic, [sent[0], sent[4], sent[1]], partition=1)
        return topic

    @pytest.mark.parametrize(
        ("time", "expected"),
        [
            ("latest", {0: 10, 1: 3, 2: 0}),
            ("earliest", {0: 0, 1: 0, 2: 0}),
            ("-1", {0: 10, 1: 3, 2: 0}),
            ("-2", {0: 0, 1: 0, 2: 0}),
            ("max-timestamp", {0: 9, 1: 1}),
            pytest.param(str(T0 + 3 * STEP_MS + 1), {0: 4, 1: 1}, id="between two timestamps"),
            pytest.param(str(T0 + 5 * STEP_MS), {0: 5}, id="timestamp of a record"),
            ("earliest-local", {0: 0, 1: 0, 2: 0}),
            ("latest-tiered", {}),
        ],
    )
    def test_at(self, tool: KafkaTools, filled: str, time: str, expected: dict[int, int]) -> None:
        """A partition without such a record is left out."""
        shown = tool("kafka-get-offsets", "--topic", filled, "--time", time).lines
        assert shown == [f"{filled}:{partition}:{offset}" for partition, offset in expected.items()]

    def test_some_partitions(self, tool: KafkaTools, filled: str) -> None:
        asked = ("--topic-partitions", f"{filled}:0,{filled}:2-3", "--exclude-internal-topics")
        assert tool("kafka-get-offsets", *asked).lines == [f"{filled}:0:10", f"{filled}:2:0"]

    def test_of_no_topic(self, tool: KafkaTools, topic: str) -> None:
        refused = tool("kafka-get-offsets", "--topic", topic, exit_code=1)
        assert "Could not match any topic-partitions" in refused.stderr


class TestDeleteRecords:
    """kafka-delete-records"""

    def test_delete(self, tool: KafkaTools, topic: str, client: ConfluentClient, tmp_path: Path) -> None:
        client.create_topic(topic, partitions=3)
        for partition in range(3):
            client.produce(topic, messages(10), partition=partition)
        ran = tool("kafka-delete-records", "--offset-json-file", wish(tmp_path, topic, 4, -1, 11))
        assert sorted(ran.lines[2:]) == [
            f"partition: {topic}-0\tlow_watermark: 4",
            f"partition: {topic}-1\tlow_watermark: 10",
            f"partition: {topic}-2\terror: org.apache.kafka.common.errors.OffsetOutOfRangeException: "
            "The requested offset is not within the range of offsets maintained by the server.",
        ]
        assert [client.offset_range(topic, partition) for partition in range(3)] == [
            (4, 10),
            (10, 10),
            (0, 10),
        ]
        earliest = tool("kafka-get-offsets", "--topic", topic, "--time", "earliest").lines
        assert earliest == [f"{topic}:0:4", f"{topic}:1:10", f"{topic}:2:0"]


class TestPerformanceTools:
    """kafka-producer-perf-test, kafka-consumer-perf-test"""

    @pytest.mark.parametrize("properties", [("acks=1",), ("acks=all", "compression.type=lz4")])
    def test_producer(
        self, tool: KafkaTools, topic: str, client: ConfluentClient, properties: tuple[str, ...]
    ) -> None:
        client.create_topic(topic)
        load = ("--num-records", "2000", "--record-size", "100", "--throughput", "-1", "--print-metrics")
        wanted = [word for each in properties for word in ("--command-property", each)]
        ran = tool("kafka-producer-perf-test", "--topic", topic, *load, *wanted)
        assert re.match(r"2000 records sent, \d+\.\d+ records/sec \(\d+\.\d+ MB/sec\)", ran.stdout)
        errors = re.search(r"producer-metrics:record-error-total\S*\s+: (\S+)", ran.stdout)
        assert errors is not None
        assert float(errors.group(1)) == 0
        assert client.offset_range(topic) == (0, 2000)
        assert {len(each.message.value or b"") for each in client.consume(topic, 2000)} == {100}

    def test_consumer(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic)
        client.produce(topic, plain([b"x" * 100] * 500))
        asked = ("--topic", topic, "--num-records", "500", "--timeout", "60000", "--hide-header")
        (line,) = tool("kafka-consumer-perf-test", *asked).lines
        assert int(line.split(", ")[4]) == 500


class TestVerifiableTools:
    """kafka-verifiable-producer, kafka-verifiable-consumer: a line of JSON for each event"""

    def test_producer(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic)
        asked = ("--topic", topic, "--max-messages", "20", "--acks", "-1", "--value-prefix", "7")
        events = [json.loads(line) for line in tool("kafka-verifiable-producer", *asked).lines]
        sent = [event for event in events if event["name"] == "producer_send_success"]
        assert {event["value"]: event["offset"] for event in sent} == {f"7.{n}": n for n in range(20)}
        total = next(event for event in events if event["name"] == "tool_data")
        assert (total["sent"], total["acked"]) == (20, 20)
        assert [each.message.value for each in client.consume(topic, 20)] == [
            b"7.%d" % number for number in range(20)
        ]

    def test_consumer(self, tool: KafkaTools, topic: str, client: ConfluentClient) -> None:
        client.create_topic(topic)
        client.produce(topic, messages(20))
        asked = ("--topic", topic, "--group-id", topic, "--max-messages", "20")
        events = [json.loads(line) for line in tool("kafka-verifiable-consumer", *asked).lines]
        assert sum(event["count"] for event in events if event["name"] == "records_consumed") == 20
        committed = [event for event in events if event["name"] == "offsets_committed"]
        assert committed[-1]["success"]
        assert committed[-1]["offsets"] == [{"topic": topic, "partition": 0, "offset": 20}]


def produce(tool: KafkaTools, topic: str, lines: str, *arguments: str) -> None:
    # By itself it sends again after 1.5 s.
    patient = ("--request-timeout-ms", "60000")
    ran = tool("kafka-console-producer", "--topic", topic, *patient, *arguments, input_text=lines)
    assert (ran.stdout, "ERROR" in ran.stderr) == ("", False), ran.stderr


def consume(
    tool: KafkaTools, topic: str, offset: str, count: int, *arguments: str, partition: int = 0
) -> list[str]:
    where = ("--topic", topic, "--partition", str(partition), "--offset", offset)
    until = ("--max-messages", str(count), "--timeout-ms", "60000")
    ran = tool("kafka-console-consumer", *where, *until, *arguments)
    assert f"Processed a total of {count} messages" in ran.stderr
    return ran.lines


def wish(directory: Path, topic: str, *offsets: int) -> str:
    """Write the tool's file: the offset before which each partition is to be emptied."""
    partitions = [
        {"topic": topic, "partition": partition, "offset": offset} for partition, offset in enumerate(offsets)
    ]
    path = directory / "offsets.json"
    path.write_text(json.dumps({"version": 1, "partitions": partitions}))
    return str(path)

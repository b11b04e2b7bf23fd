"""Goal: `logd topic` does what it says, on logd as on Apache Kafka. Method: every action, as text and as JSON."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any

from logd.cli.parser import addresses
from logd.clients.cluster_client import ClusterClient
from protocol.record_builder import build_batch
from protocol.records import Record
from tests.support.command_line import Command, assert_one_line, seen
from tests.support.leaders import produce


def _name() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def _produce(bootstrap: str, topic: str, count: int) -> None:
    async def main() -> None:
        records = [Record(at, int(time.time() * 1000), None, b"x" * 100, ()) for at in range(count)]
        async with await ClusterClient.connect(addresses(bootstrap)) as cluster:
            await produce(cluster, topic, 0, build_batch(records))

    asyncio.run(main())


def _described(logd: Command, topic: str) -> dict[str, Any]:
    [row] = json.loads(logd("topic", "describe", topic, "-J").stdout)
    assert isinstance(row, dict)
    return row


def _is_settled(row: dict[str, Any]) -> bool:
    return "segment.bytes" in str(row["settings"]) and row["size_bytes"] is not None


def _listed_size(logd: Command, topic: str) -> int | None:
    """Not known until every partition has its directory."""
    [row] = json.loads(logd("topic", "list", topic, "--size", "-J").stdout)
    size = row["size_bytes"]
    assert size is None or isinstance(size, int)
    return size


def test_create_says_what_was_made(logd: Command) -> None:
    name = _name()
    done = logd("topic", "create", name, "--partitions", "3", "-c", "retention.ms=60000", "--wait")
    assert done == (0, f"created {name}: 3 partitions, replication factor 1\n", "")
    assert_one_line(logd("topic", "create", name), 1, name, "TOPIC_ALREADY_EXISTS")
    again = logd("topic", "create", name, "--if-not-exists")
    assert again == (0, f"{name} exists already\n", "")


def test_create_uses_the_brokers_defaults(logd: Command) -> None:
    name = _name()
    [row] = json.loads(logd("topic", "create", name, "-J").stdout)
    assert len(row.pop("id")) == 22
    assert row == {
        "topic": name,
        "partitions": 1,
        "replication_factor": 1,
        "created": True,
        "error": None,
    }


def test_create_several_of_which_one_is_refused(logd: Command) -> None:
    good = _name()
    done = logd("topic", "create", good, "no good", "-J")
    assert_one_line(done, 1, "no good", "INVALID_TOPIC_EXCEPTION")
    first, second = json.loads(done.stdout)
    assert (first["topic"], first["created"], first["error"]) == (good, True, None)
    assert (second["created"], second["error"]["code"]) == (False, "INVALID_TOPIC_EXCEPTION")


def test_create_refuses_what_cannot_be(logd: Command) -> None:
    assert_one_line(
        logd("topic", "create", _name(), "--replication-factor", "3"), 1, "INVALID_REPLICATION_FACTOR"
    )
    assert_one_line(logd("topic", "create", _name(), "-c", "no.such=1"), 1, "no.such", "INVALID_CONFIG")


def test_a_dry_run_creates_nothing(logd: Command) -> None:
    name = _name()
    assert logd("topic", "create", name, "--dry-run").stdout.startswith(f"{name} could be created: 1 part")
    assert_one_line(logd("topic", "describe", name), 1, f"there is no topic {name}")


def test_list(logd: Command, topic: str) -> None:
    lines = logd("topic", "list").stdout.splitlines()
    assert lines[0].split() == ["TOPIC", "PARTITIONS", "REPLICATION"]
    assert [topic, "2", "1"] in [line.split() for line in lines]
    assert logd("topic", "list", f"{topic[:-2]}*", "-q").stdout == f"{topic}\n"
    [row] = json.loads(logd("topic", "list", topic, "-J").stdout)
    assert len(row.pop("id")) == 22
    assert row == {"topic": topic, "partitions": 2, "replication_factor": 1, "internal": False}
    assert_one_line(logd("topic", "list", "nothing-like-it*"), 1, "nothing-like-it")


def test_list_with_sizes(logd: Command, topic: str, bootstrap: str) -> None:
    _produce(bootstrap, topic, 10)
    size = seen(lambda: _listed_size(logd, topic), lambda size: size is not None)
    assert size is not None and size > 1000
    header, line = logd("topic", "list", topic, "--size").stdout.splitlines()
    assert header.split()[-1] == "SIZE" and line.endswith("KiB")


def test_describe(logd: Command, topic: str, bootstrap: str) -> None:
    _produce(bootstrap, topic, 10)
    logd("config", "set", f"topic/{topic}", "segment.bytes=1048576")
    row = seen(lambda: _described(logd, topic), _is_settled)
    assert (row["topic"], row["replication_factor"], row["internal"]) == (topic, 1, False)
    first, second = row["partitions"]
    assert (first["start_offset"], first["end_offset"], second["end_offset"]) == (0, 10, 0)
    assert (first["leader"], first["replicas"], first["isr"], first["offline"]) == (1, [1], [1], [])
    assert first["size_bytes"] == row["size_bytes"] > 1000
    own = [each for each in row["settings"] if each["source"] == "topic"]
    assert own == [
        {
            "name": "segment.bytes",
            "value": "1048576",
            "source": "topic",
            "dynamic": True,
            "sensitive": False,
        }
    ]
    text = logd("topic", "describe", topic).stdout.splitlines()
    assert text[0].startswith(f"{topic}  id={row['id']}  partitions=2  replication=1  size=")
    assert text[2].split()[:6] == ["0", "1", "1", "1", "0", "10"]
    assert "  segment.bytes=1048576  (topic)" in text


def test_describe_shows_what_there_is_and_names_what_is_not(logd: Command, topic: str) -> None:
    done = logd("topic", "describe", topic, "no-such")
    assert_one_line(done, 1, "there is no topic no-such", "logd topic list")
    assert done.stdout.startswith(topic)


def test_delete(logd: Command, topic: str) -> None:
    assert logd("topic", "delete", topic) == (0, f"deleted {topic}\n", "")
    assert_one_line(logd("topic", "delete", topic), 1, f"there is no topic {topic}")
    assert logd("topic", "delete", topic, "--if-exists") == (0, f"{topic} does not exist\n", "")
    [row] = json.loads(logd("topic", "delete", topic, "--if-exists", "-J").stdout)
    assert row == {"topic": topic, "deleted": False, "error": None}


def test_delete_by_pattern(logd: Command) -> None:
    stem = _name()
    logd("topic", "create", f"{stem}-a", f"{stem}-b", f"{stem}x", "--wait")
    assert logd("topic", "delete", f"{stem}-?").stdout == f"deleted {stem}-a\ndeleted {stem}-b\n"
    left = seen(lambda: logd("topic", "list", f"{stem}*", "-q").stdout, lambda names: "-a" not in names)
    assert left == f"{stem}x\n"
    assert_one_line(logd("topic", "delete", f"{stem}-?"), 1, "no topic fits")
    assert logd("topic", "delete", f"{stem}-?", "--if-exists") == (0, "", "")


def test_alter_adds_partitions(logd: Command, topic: str) -> None:
    assert logd("topic", "alter", topic, "--partitions", "4", "--dry-run").returncode == 0
    assert logd("topic", "alter", topic, "--partitions", "3") == (0, f"{topic} has 3 partitions\n", "")
    partitions = seen(lambda: len(_described(logd, topic)["partitions"]), lambda count: count == 3)
    assert partitions == 3
    assert_one_line(logd("topic", "alter", topic, "--partitions", "2"), 1, topic, "INVALID_PARTITIONS")
    assert_one_line(logd("topic", "alter", "no-such", "--partitions", "2"), 1, "there is no topic no-such")


def test_trim(logd: Command, topic: str, bootstrap: str) -> None:
    _produce(bootstrap, topic, 10)
    done = logd("topic", "trim", topic, "--before", "4", "-p", "0")
    assert done == (0, f"partition 0 of {topic} begins at offset 4\n", "")
    done = logd("topic", "trim", topic, "--before", "end", "-J")
    assert json.loads(done.stdout) == [
        {"topic": topic, "partition": 0, "start_offset": 10, "error": None},
        {"topic": topic, "partition": 1, "start_offset": 0, "error": None},
    ]
    assert _described(logd, topic)["partitions"][0]["start_offset"] == 10


def test_trim_refuses(logd: Command, topic: str) -> None:
    assert_one_line(logd("topic", "trim", topic, "--before", "4"), 2, "2 partitions", "-p")
    assert_one_line(logd("topic", "trim", topic, "--before", "4", "-p", "0"), 1, "does not reach offset 4")
    assert_one_line(logd("topic", "trim", topic, "--before", "4", "-p", "7"), 1, "no partition 7", "it has 2")
    assert_one_line(logd("topic", "trim", "no-such", "--before", "end"), 1, "no topic no-such")
    assert_one_line(logd("topic", "trim", "a*", "--before", "end"), 2, "pattern")

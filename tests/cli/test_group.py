"""Goal: `logd group` does what it says, on logd as on Apache Kafka.

Method: every action, as text and as JSON, on groups that real consumers made, of either protocol.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from logd.cli.parser import addresses
from logd.clients.cluster_client import ClusterClient
from protocol.record_builder import build_batch
from protocol.records import Record
from tests.support.command_line import Command, Done, assert_one_line, seen
from tests.support.commits import commit
from tests.support.leaders import produce

FIRST_MS = 1_700_000_000_000
PROTOCOLS = ("classic", "consumer")


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def records(logd: Command, bootstrap: str) -> str:
    """A topic with ten records a second apart in partition 0, and four in partition 1, which it keeps."""
    topic = f"t-{uuid.uuid4().hex[:12]}"
    made = logd("topic", "create", topic, "--partitions", "2", "-c", "retention.ms=-1", "--wait")
    assert made.returncode == 0

    async def main() -> None:
        async with await ClusterClient.connect(addresses(bootstrap)) as cluster:
            for partition, count in ((0, 10), (1, 4)):
                rows = [Record(at, FIRST_MS + at * 1000, None, b"x", ()) for at in range(count)]
                await produce(cluster, topic, partition, build_batch(rows))

    asyncio.run(main())
    return topic


def _settings(bootstrap: str, group: str, protocol: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "client.id": "the-client",
        "group.protocol": protocol,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }


@contextmanager
def _member(bootstrap: str, group: str, topic: str, protocol: str = "classic") -> Iterator[Consumer]:
    """A consumer that was assigned the topic's two partitions."""
    consumer = Consumer(_settings(bootstrap, group, protocol))
    consumer.subscribe([topic])
    try:
        deadline = time.monotonic() + 30
        while len(consumer.assignment()) < 2:
            consumer.poll(0.05)
            assert time.monotonic() < deadline, "no assignment"
        yield consumer
    finally:
        consumer.close()


def _commit(bootstrap: str, group: str, topic: str, *offsets: int) -> None:
    """Commit an offset for each partition, as a group without members."""
    consumer = Consumer(_settings(bootstrap, group, "classic"))
    rows = [TopicPartition(topic, at, offset) for at, offset in enumerate(offsets)]
    commit(consumer, rows)
    consumer.close()


def _described(logd: Command, group: str) -> dict[str, Any]:
    done = logd("group", "describe", group, "-J")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = json.loads(done.stdout)
    assert isinstance(row, dict)
    return row


def _committed(logd: Command, group: str) -> list[int | None]:
    return [row["committed"] for row in _described(logd, group)["offsets"]]


def _moves(done: Done) -> list[tuple[int, int | None, int, bool]]:
    rows = json.loads(done.stdout)
    assert all(row["error"] is None for row in rows)
    return [(row["partition"], row["from_offset"], row["to_offset"], row["changed"]) for row in rows]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_live_group(logd: Command, bootstrap: str, records: str, group: str, protocol: str) -> None:
    with _member(bootstrap, group, records, protocol) as consumer:
        consumer.commit(offsets=[TopicPartition(records, 0, 4)], asynchronous=False)
        row = seen(lambda: _described(logd, group), lambda row: row["state"] == "Stable")
        assert (row["group"], row["type"], row["state"]) == (group, protocol, "Stable")
        assert (row["protocol_type"], row["coordinator"]["node"], row["lag"]) == ("consumer", 1, 6)
        assert row["assignor"] == {"classic": "range", "consumer": "uniform"}[protocol]
        [member] = row["members"]
        assert (member["client"], member["host"], member["instance"]) == ("the-client", "127.0.0.1", None)
        assert member["assignment"] == [{"topic": records, "partitions": [0, 1]}]
        first, second = row["offsets"]
        assert (first["committed"], first["end_offset"], first["lag"]) == (4, 10, 6)
        assert (second["committed"], second["end_offset"], second["lag"]) == (None, 4, None)
        assert first["member"] == second["member"] == member["member"]

        text = logd("group", "describe", group).stdout.splitlines()
        assert text[0].startswith(f"{group}  type={protocol}  state=Stable  assignor=")
        assert text[2].split() == [records, "0", "4", "10", "6", member["member"]]
        assert text[3].split() == [records, "1", "-", "4", "-", member["member"]]
        assert text[5].split() == [member["member"], "-", "the-client", "127.0.0.1", f"{records}:0-1"]

        [listed] = json.loads(logd("group", "list", group, "-J").stdout)
        assert listed == {
            "group": group,
            "type": protocol,
            "state": "Stable",
            "protocol_type": "consumer",
            "coordinator": 1,
            "members": 1,
        }
        for arguments in (
            ("delete", group, "--yes"),
            ("reset-offsets", group, "--topic", records, "--to", "earliest"),
            ("reset-offsets", group, "--topic", records, "--to", "earliest", "--execute"),
        ):
            assert_one_line(logd("group", *arguments), 1, group, "stop them first", "NON_EMPTY_GROUP")
        refused = logd("group", "delete-offsets", group, "--topic", records, "--yes")
        assert_one_line(refused, 1, "members of group", "GROUP_SUBSCRIBED_TO_TOPIC")
        assert _committed(logd, group) == [4, None]


def test_list(logd: Command, bootstrap: str, records: str, group: str) -> None:
    _commit(bootstrap, f"{group}-a", records, 1)
    with _member(bootstrap, f"{group}-b", records), _member(bootstrap, f"{group}-c", records, "consumer"):
        lines = logd("group", "list", f"{group}*").stdout.splitlines()
        assert lines[0].split() == ["GROUP", "TYPE", "STATE", "PROTOCOL", "COORDINATOR", "MEMBERS"]
        assert lines[1].split() == [f"{group}-a", "classic", "Empty", "-", "1", "0"]
        assert lines[2].split() == [f"{group}-b", "classic", "Stable", "consumer", "1", "1"]

        def names(*filters: str) -> list[str]:
            return logd("group", "list", f"{group}*", "-q", *filters).stdout.split()

        assert names() == [f"{group}-a", f"{group}-b", f"{group}-c"]
        assert names("--state", "Empty") == [f"{group}-a"]
        assert names("--type", "consumer") == [f"{group}-c"]
        assert names("--state", "empty", "--state", "STABLE", "--type", "classic") == names()[:2]
        assert f"{group}-a" in logd("group", "list").stdout
    assert_one_line(logd("group", "list", "nothing-like-it*"), 1, "no group fits")
    assert_one_line(logd("group", "list", "--state", "asleep"), 2, "asleep", "stable")


def test_describe_shows_what_there_is_and_names_what_is_not(
    logd: Command, bootstrap: str, records: str, group: str
) -> None:
    _commit(bootstrap, group, records, 3, 4)
    done = logd("group", "describe", group, "no-such")
    assert_one_line(done, 1, "there is no group no-such", "logd group list", "GROUP_ID_NOT_FOUND")
    assert done.stdout.startswith(f"{group}  type=classic  state=Empty  coordinator=1 (")
    assert "members=0  lag=7\n" in done.stdout
    assert_one_line(logd("group", "describe", "nothing-like-it*"), 1, "no group fits")


def test_delete(logd: Command, bootstrap: str, records: str, group: str) -> None:
    for end in "abc":
        _commit(bootstrap, f"{group}-{end}", records, 1)
    assert logd("group", "delete", f"{group}-a") == (0, f"deleted {group}-a\n", "")
    assert_one_line(logd("group", "delete", f"{group}-a"), 1, f"there is no group {group}-a")
    assert logd("group", "delete", f"{group}-a", "--if-exists") == (0, f"{group}-a does not exist\n", "")
    assert logd("group", "delete", f"{group}-?").stdout == f"deleted {group}-b\ndeleted {group}-c\n"
    assert_one_line(logd("group", "delete", f"{group}-?"), 1, "no group fits")
    assert logd("group", "delete", f"{group}-?", "--if-exists") == (0, "", "")
    [row] = json.loads(logd("group", "delete", f"{group}-a", "-J").stdout)
    assert (row["deleted"], row["error"]["code"]) == (False, "GROUP_ID_NOT_FOUND")


def test_reset_shows_before_it_changes(logd: Command, bootstrap: str, records: str, group: str) -> None:
    _commit(bootstrap, group, records, 4)
    reset = ("group", "reset-offsets", group, "--topic", records, "--to", "latest")
    done = logd(*reset)
    assert_one_line(done, 0, "nothing was changed", "--execute")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["TOPIC", "PARTITION", "FROM", "TO", "END", "LAG"],
        [records, "0", "4", "10", "10", "0"],
        [records, "1", "-", "4", "4", "0"],
    ]
    assert _moves(logd(*reset, "-J")) == [(0, 4, 10, False), (1, None, 4, False)]
    assert _committed(logd, group) == [4]
    assert _moves(logd(*reset, "--execute", "-J")) == [(0, 4, 10, True), (1, None, 4, True)]
    assert _committed(logd, group) == [10, 4]
    assert _described(logd, group)["lag"] == 0


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (("--to", "earliest"), [0, 0]),
        (("--to", "3"), [3, 3]),
        (("--to", f"@{FIRST_MS + 2_500}"), [3, 3]),
        (("--to", "2023-11-14T22:13:23.000Z"), [3, 3]),  # FIRST_MS + 3 s
        (("--to", "2023-11-14T22:13:23"), [3, 3]),
        (("--to", "2023-11-15T00:13:23+02:00"), [3, 3]),
        (("--to", "2030-01-01"), [10, 4]),
        (("--by-duration", "PT1H"), [10, 4]),
        (("--by-duration", "P36500D"), [0, 0]),
        (("--shift-by", "1"), [6, 3]),
        (("--shift-by", "-2"), [3, 0]),
        (("--shift-by=-2",), [3, 0]),
    ],
)
def test_where_to(
    logd: Command, bootstrap: str, records: str, group: str, goal: tuple[str, ...], expected: list[int]
) -> None:
    _commit(bootstrap, group, records, 5, 2)
    done = logd("group", "reset-offsets", group, "--all-topics", *goal, "--execute", "-J")
    assert (done.returncode, done.stderr) == (0, "")
    assert _committed(logd, group) == expected


def test_offsets_outside_of_the_records(logd: Command, bootstrap: str, records: str, group: str) -> None:
    _commit(bootstrap, group, records, 5, 2)
    reset = ("group", "reset-offsets", group, "--topic", f"{records}:1", "--execute")
    assert_one_line(logd(*reset, "--to", "7"), 0, "1 partition does not reach so far")
    assert _committed(logd, group) == [5, 4]
    logd(*reset, "--shift-by", "-100")
    assert _committed(logd, group) == [5, 0]


def test_reset_from_a_file(logd: Command, bootstrap: str, records: str, group: str, tmp_path: Path) -> None:
    file = tmp_path / "offsets.csv"
    file.write_text(f'{records},1,3\n\n"{records}", 0, 7\n')
    reset = ("group", "reset-offsets", group, "--from-file", str(file))
    assert logd(*reset, "--execute").returncode == 0  # which makes the group
    assert _committed(logd, group) == [7, 3]
    for text, problem in (
        (f"{records},1\n", "line 1"),
        (f"{records},0,1\n{records},1,x\n", "line 2"),
        (f"{records},0,1\n{records},0,2\n", "line 2"),
        ("", "no offsets"),
        (f"{records},9,1\n", "no partition 9"),
        ("no-such,0,1\n", "no topic no-such"),
    ):
        file.write_text(text)
        assert_one_line(logd(*reset, "--execute"), 1, problem)
    assert_one_line(logd(*reset[:-1], str(tmp_path / "none.csv")), 1, "cannot read", "none.csv")
    assert _committed(logd, group) == [7, 3]


def test_reset_refuses(logd: Command, bootstrap: str, records: str, group: str) -> None:
    reset = ("group", "reset-offsets", group)
    assert_one_line(logd(*reset, "--all-topics"), 2, "--to")
    assert_one_line(logd(*reset, "--to", "latest"), 2, "--topic")
    assert_one_line(logd(*reset, "--to", "1", "--shift-by", "1", "--all-topics"), 2, "one of")
    assert_one_line(logd(*reset, "--from-file", "x", "--all-topics"), 2, "--from-file names")
    assert_one_line(logd(*reset, "--all-topics", "--to", "soon"), 2, "'soon'", "earliest")
    assert_one_line(logd(*reset, "--all-topics", "--by-duration", "1h"), 2, "'1h'", "PT1H30M")
    assert_one_line(logd(*reset, "--topic", "a:x", "--to", "1"), 2, "'a:x'")
    assert_one_line(logd(*reset, "--all-topics", "--to", "1"), 1, "committed no offsets", "--topic")
    assert_one_line(logd(*reset, "--topic", records, "--shift-by", "1"), 1, "no committed offset")
    assert_one_line(logd(*reset, "--topic", "no-such", "--to", "1"), 1, "there is no topic no-such")
    assert_one_line(logd(*reset, "--topic", f"{records}:0,7", "--to", "1"), 1, "no partition 7")


def test_delete_offsets(logd: Command, bootstrap: str, records: str, group: str) -> None:
    _commit(bootstrap, group, records, 5, 2)
    done = logd("group", "delete-offsets", group, "--topic", f"{records}:1")
    assert done == (0, f"deleted the offset of {records} [1]\n", "")
    assert _committed(logd, group) == [5]
    [row] = json.loads(logd("group", "delete-offsets", group, "--topic", records, "-J").stdout)
    assert row == {"group": group, "topic": records, "partition": 0, "deleted": True, "error": None}
    refused = logd("group", "delete-offsets", f"{group}-x", "--topic", f"{records}:0")
    assert_one_line(refused, 1, f"there is no group {group}-x")

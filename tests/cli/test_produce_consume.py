"""Goal: what goes in with `logd produce` comes out with `logd consume`, byte by byte, on logd as on Apache Kafka.

Method: round trips of any keys, values and delimiters; every codec; every way to say what a record is, where to start.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kafka.partitioner import murmur2

from tests.support.command_bytes import assert_one_line, call, printed, written
from tests.support.command_line import Command

ANY_TOPIC = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
LINES = b"".join(b"%d %s\n" % (number, b"x" * (number % 40)) for number in range(5000))


@pytest.fixture
def single(topic: str, logd: Command) -> Iterator[str]:
    """A topic of one partition."""
    name = f"{topic}-single"
    assert logd("topic", "create", name, "--partitions", "1", "--wait").returncode == 0
    yield name


@ANY_TOPIC
@given(
    pairs=st.lists(st.tuples(st.binary(max_size=30), st.binary(max_size=300)), min_size=1, max_size=30),
    delimiter=st.binary(min_size=1, max_size=3),
    key_delimiter=st.binary(min_size=1, max_size=3),
    codec=st.sampled_from(CODECS),
)
def test_any_bytes_come_back(
    single: str, pairs: list[tuple[bytes, bytes]], delimiter: bytes, key_delimiter: bytes, codec: str
) -> None:
    def escaped(data: bytes) -> str:
        return "".join(f"\\x{byte:02x}" for byte in data)

    data = b"".join(key + key_delimiter + value + delimiter for key, value in pairs)
    records = data.split(delimiter)
    records = records if records[-1] else records[:-1]
    expected = [each.partition(key_delimiter) for each in records]
    options = ["-D", escaped(delimiter), "-K", escaped(key_delimiter)]
    written(call("produce", single, *options, "-z", codec, stdin=data))
    out = printed(call("consume", single, "-e", "-o", f"-{len(records)}", "-f", "%K %S %k%s"))
    for key, found, value in expected:
        sizes = b"%d %d " % ((len(key), len(value)) if found else (-1, len(key)))
        assert out.startswith(sizes + key + value)
        out = out[len(sizes + key + value) :]
    assert out == b""


@pytest.mark.parametrize("codec", CODECS)
def test_codecs(single: str, codec: str) -> None:
    written(call("produce", single, "-z", codec, stdin=LINES))
    assert printed(call("consume", single, "-e")) == LINES


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_acks(single: str, acks: str) -> None:
    written(call("produce", single, "--acks", acks, stdin=LINES))
    assert printed(call("consume", single, "-c", "5000")) == LINES


def test_lines_empty_ones_too(single: str) -> None:
    written(call("produce", single, stdin=b"a\n\n\nlast"))
    assert printed(call("consume", single, "-e")) == b"a\n\n\nlast\n"
    written(call("produce", single, stdin=b""))
    assert printed(call("consume", single, "-e", "-o", "end")) == b""


def test_null_and_empty(single: str) -> None:
    written(call("produce", single, "-K:", "-Z", stdin=b"k:\n:v\n\nw\n"))
    assert printed(call("consume", single, "-e", "-Z", "-K=")) == b"k=NULL\nNULL=v\nNULL=NULL\nNULL=w\n"
    assert printed(call("consume", single, "-e", "-K=")) == b"k=\n=v\n=\n=w\n"
    written(call("produce", single, "-K:", stdin=b"k:\n"))
    assert printed(call("consume", single, "-e", "-o", "-1", "-f", "%K%S")) == b"10"


def test_keys_headers_and_files(single: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture"
    picture.write_bytes(b"\x89PNG\n\x00")
    written(
        call("produce", single, "-k", "cat", "-H", "type=png", "-H", "empty=", "-H", "null", str(picture))
    )
    assert (
        printed(call("consume", single, "-e", "-f", "%k %h %S %s"))
        == b"cat type=png,empty=,null=NULL 6 \x89PNG\n\x00"
    )
    lines = tmp_path / "lines"
    lines.write_bytes(b"a:1\n2")
    written(call("produce", single, "-l", str(lines), "-", "-K:", "-kfixed", stdin=b"b:3\n"))
    assert printed(call("consume", single, "-o", "1", "-e", "-K:")) == b"a:1\nfixed:2\nb:3\n"


def test_keys_go_where_other_clients_put_them(topic: str) -> None:
    keys = [b"key-%d" % number for number in range(50)]
    written(call("produce", topic, "-K:", stdin=b"".join(key + b":v\n" for key in keys)))
    rows = printed(call("consume", topic, "-e", "-f", "%k %p\\n")).split(b"\n")[:-1]
    assert sorted(rows) == sorted(b"%b %d" % (key, (murmur2(key) & 0x7FFFFFFF) % 2) for key in keys)


def test_a_partition_of_choice(topic: str) -> None:
    written(call("produce", topic, "-p", "1", "-K:", stdin=b"a:1\nb:2\n"))
    assert printed(call("consume", topic, "-e", "-p", "1")) == b"1\n2\n"
    assert printed(call("consume", topic, "-e", "-p", "0")) == b""
    for command in ("produce", "consume"):
        assert_one_line(call(command, topic, "-p", "2"), 1, f"topic {topic} has no partition 2, 0 to 1")


def test_many_records_over_partitions_keep_the_order_of_each_key(topic: str) -> None:
    draw = random.Random(7)
    rows = [(b"%d" % draw.randrange(40), b"%d" % number) for number in range(20_000)]
    written(call("produce", topic, "-K:", "-z", "lz4", stdin=b"".join(b"%b:%b\n" % row for row in rows)))
    found = [line.split(b":") for line in printed(call("consume", topic, "-e", "-K:")).splitlines()]
    assert len(found) == len(rows)
    for key in {key for key, _ in rows}:
        assert [value for each, value in found if each == key] == [
            value for each, value in rows if each == key
        ]


def test_a_topic_is_copied_through_json(topic: str) -> None:
    data = b"k\xff:v\x00\n:\nkey:\xc3\xa4\nplain\n"
    written(call("produce", topic, "-K:", "-Z", "-H", "h=\\xfe", "-H", "n", stdin=data))
    written(call("produce", topic, "-p", "0", stdin=b"without headers"))
    out = printed(call("consume", topic, "-e", "-J"))
    assert all(json.loads(line)["topic"] == topic for line in out.splitlines())
    copy = f"{topic}-copy"
    written(call("produce", copy, "-J", "--create", stdin=out))
    everything = "%T %K %k %S %s %h\\n"
    copied = printed(call("consume", copy, "-e", "-f", everything)).splitlines()
    assert sorted(copied) == sorted(printed(call("consume", topic, "-e", "-f", everything)).splitlines())
    assert len(copied) == 5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-e"], "0 1 2 3 4 5 6 7 8 9 "),
        (["-o", "beginning", "-c", "3"], "0 1 2 "),
        (["-o", "7", "-e"], "7 8 9 "),
        (["-o", "7", "-c1"], "7 "),
        (["-o-2", "-e"], "8 9 "),
        (["-o", "-99", "-e"], "0 1 2 3 4 5 6 7 8 9 "),
        (["-o", "99", "-e"], ""),
        (["-o", "end", "-e"], ""),
        (["-o", "s@1003", "-e"], "3 4 5 6 7 8 9 "),
        (["-o", "s@1003", "-o", "e@1006"], "3 4 5 "),
        (["-o", "e@1002"], "0 1 "),
        (["-o", "s@9999", "-o", "e@99999"], ""),
    ],
)
def test_where_reading_starts_and_stops(
    bootstrap: str, numbered: str, options: list[str], expected: str
) -> None:
    assert printed(call("consume", numbered, "-b", bootstrap, "-f", "%o ", *options)).decode() == expected


@pytest.fixture(scope="module")
def numbered(bootstrap: str) -> str:
    """A topic of one partition with ten records in two batches, at the times 1000 to 1009."""
    name = "numbered"
    rows = [json.dumps({"payload": "v", "ts": 1000 + number}) + "\n" for number in range(10)]
    where = ["-b", bootstrap]
    assert call("topic", "create", name, "--partitions", "1", "--wait", *where).returncode == 0
    # Records of another age than the topic's limits: they shall stay.
    assert call("config", "set", f"topic/{name}", "retention.ms=-1", *where).returncode == 0
    for part in (rows[:4], rows[4:]):
        written(call("produce", name, "-J", *where, stdin="".join(part).encode()))
    return name


def test_several_topics(topic: str, single: str) -> None:
    written(call("produce", topic, stdin=b"a\n"))
    written(call("produce", single, stdin=b"b\n"))
    rows = printed(call("consume", topic, "-e", single, "-f", "%t %s\\n")).decode().splitlines()
    assert sorted(rows) == sorted([f"{topic} a", f"{single} b"])


def test_large_batches_and_many_fetches(single: str) -> None:
    data = b"".join(b"%099d\n" % number for number in range(60_000))
    written(call("produce", single, stdin=data))
    assert printed(call("consume", single, "-e")) == data
    assert printed(call("consume", single, "-o", "59990", "-c", "4")) == data[5_999_000:5_999_400]


def test_a_record_that_is_too_large_is_named(single: str, logd: Command) -> None:
    assert logd("config", "set", f"topic/{single}", "max.message.bytes=2000").returncode == 0
    small = b"".join(b"%0900d\n" % number for number in range(4))  # too large together
    done = call("produce", single, stdin=small + b"x" * 2500 + b"\nafter\n")
    assert_one_line(done, 1, "line 5 is larger than the topic's max.message.bytes", "max.message.bytes=N")
    assert printed(call("consume", single, "-e")) == small


def test_a_topic_that_is_not_there(topic: str, logd: Command) -> None:
    missing = f"{topic}-missing"
    for command in ("produce", "consume"):
        assert_one_line(
            call(command, missing), 1, f"there is no topic {missing}", f"logd topic create {missing}"
        )
    assert missing not in logd("topic", "list", "-q").stdout.split()
    written(call("produce", missing, "--create", stdin=b"there\n"))
    assert printed(call("consume", missing, "-e")) == b"there\n"
    assert_one_line(call("consume", "a topic"), 1, "INVALID_TOPIC_EXCEPTION")


def test_input_that_cannot_be_read_is_named_and_what_precedes_it_is_written(
    single: str, tmp_path: Path
) -> None:
    done = call("produce", single, "-J", stdin=b'{"payload":"a"}\nnonsense\n{"payload":"b"}\n')
    assert_one_line(done, 1, "line 2: not JSON", "1 record written before")
    assert printed(call("consume", single, "-e")) == b"a\n"
    assert_one_line(call("produce", single, str(tmp_path / "none")), 1, "cannot read", "No such file")
    assert_one_line(call("produce", single, str(tmp_path)), 1, "cannot read", "Is a directory")

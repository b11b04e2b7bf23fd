"""Goal: `logd bench` measures any broker, tells what it did, and leaves nothing behind. Method: short runs on both."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.support.broker import ROOT, LogdBroker, clean_environment
from tests.support.command_line import Command, Done, assert_one_line, call_logd, run_logd, seen

SHORT = ("--duration", "1", "--warm-up", "0.2")


def _bench_topics(logd: Command) -> list[str]:
    listed = logd("topic", "list", "-q").stdout.splitlines()
    return [name for name in listed if name.startswith("logd-bench-")]


def _measured(logd: Command, action: str, *arguments: str) -> Any:
    done = logd("bench", action, *SHORT, *arguments, "-J")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["action"] == action
    assert document["requests"] > 0 and document["records"] > 0 and document["seconds"] >= 1
    assert document["records_per_s"] == pytest.approx(document["records"] / document["seconds"], rel=0.01)
    assert not document["interrupted"]
    return document


def _ascends(percentiles: dict[str, int]) -> bool:
    values = [percentiles[name] for name in ("p50", "p99", "p99_9", "max")]
    return values[0] > 0 and values == sorted(values)


@pytest.mark.parametrize(
    ("arguments", "connections"),
    [
        ((), 4),
        (("--acks", "1", "--partitions", "3", "--connections", "2", "-z", "lz4"), 2),
        (("--connections", "5", "--partitions", "2", "--in-flight", "1", "--batch-size", "1"), 5),
    ],
    ids=["defaults", "more partitions than connections", "fewer"],
)
def test_produce(logd: Command, arguments: tuple[str, ...], connections: int) -> None:
    document = _measured(logd, "produce", *arguments)
    assert document["connections"] == connections
    assert document["records"] == document["requests"] * document["batch_records"]
    assert document["bytes"] == document["records"] * 1024
    assert _ascends(document["latency_us"])
    assert document["late_us"] is None and document["broker_cpu_s"] is None
    assert seen(lambda: _bench_topics(logd), lambda names: not names) == []


def test_produce_without_acknowledgements_is_stored_all_the_same(logd: Command, topic: str) -> None:
    document = _measured(
        logd, "produce", "--topic", topic, "--acks", "0", "--warm-up", "0", "--record-size", "10"
    )
    assert document["latency_us"] is None
    described = json.loads(logd("topic", "describe", topic, "-J").stdout)
    assert sum(row["end_offset"] for row in described[0]["partitions"]) == document["records"]


def test_produce_at_a_rate(logd: Command) -> None:
    document = _measured(logd, "produce", "--rate", "200", "--batch-size", "1", "--warm-up", "0")
    assert document["requests"] + document["unsent"] == 200
    assert document["late_us"]["max"] <= document["latency_us"]["max"]


def test_consume(logd: Command) -> None:
    document = _measured(logd, "consume", "--fill", "1", "--partitions", "2", "--connections", "3")
    assert document["bytes"] > 1024 * document["records"]  # batches as they are stored
    assert _ascends(document["latency_us"])
    assert seen(lambda: _bench_topics(logd), lambda names: not names) == []


def test_consume_of_a_topic_that_is_there(logd: Command, topic: str) -> None:
    assert_one_line(
        logd("bench", "consume", *SHORT, "--topic", topic), 1, f"topic {topic} has no records", "--topic"
    )
    _measured(logd, "produce", "--topic", topic, "--record-size", "100", "--batch-size", "4000")
    _measured(logd, "consume", "--topic", topic, "--fetch-size", "10000")
    assert logd("topic", "describe", topic).returncode == 0


def test_latency(logd: Command) -> None:
    document = _measured(logd, "latency", "--rate", "100", "--warm-up", "0")
    assert document["records"] == document["requests"]
    assert document["requests"] + document["unsent"] == 100
    assert _ascends(document["latency_us"]) and _ascends(document["end_to_end_us"])
    assert seen(lambda: _bench_topics(logd), lambda names: not names) == []


def test_what_people_see(logd: Command) -> None:
    done = logd("bench", "latency", *SHORT, "--record-size", "7")
    assert done.returncode == 0
    settings, headers, figures, empty, columns, *rows = done.stdout.splitlines()
    assert "record_bytes=7" in settings and "rate=1000" in settings
    assert headers.split() == ["SECONDS", "RECORDS/S", "MB/S", "REQUESTS/S"]
    assert len(figures.split()) == 4 and empty == ""
    assert columns.split() == ["P50", "µs", "P99", "µs", "P99.9", "µs", "MAX", "µs"]
    assert [row.rsplit(maxsplit=4)[0].strip() for row in rows[:3]] == [
        "ACKNOWLEDGED",
        "RECEIVED",
        "SENT LATE",
    ]


def test_a_refused_request_is_named_and_nothing_is_left(logd: Command) -> None:
    done = logd("bench", "produce", *SHORT, "--record-size", "2000000")
    assert_one_line(done, 1, "produce to logd-bench-", "[0] was refused", "(MESSAGE_TOO_LARGE)")
    assert done.stdout == ""
    assert seen(lambda: _bench_topics(logd), lambda names: not names) == []


def test_a_missing_topic(logd: Command) -> None:
    assert_one_line(logd("bench", "produce", "--topic", "nobody"), 1, "there is no topic nobody", "--topic")


def test_ctrl_c_tells_what_there_is(logd: Command, bootstrap: str) -> None:
    process = _start(bootstrap, "--warm-up", "0", "--duration", "600")
    assert seen(lambda: _written(logd), lambda size: size > 0) > 0
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, b"")
    assert b"RECORDS/S" in stdout and b"LATENCY" in stdout
    assert seen(lambda: _bench_topics(logd), lambda names: not names) == []


def test_progress_is_on_a_terminal(bootstrap: str) -> None:
    ours, theirs = pty.openpty()
    process = _start(bootstrap, *SHORT, "--duration", "1", stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 10_000):
            shown += data
    except OSError:  # the terminal's other end was closed
        pass
    os.close(ours)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"warming up" in shown and b"of 1 s: " in shown and b"records/s" in shown
    assert shown.endswith(b"\r\x1b[K")
    assert b"\r" not in stdout


def test_broker_time_and_a_broker_that_ends(tmp_path: Any) -> None:
    with LogdBroker(tmp_path) as broker:
        where = ("-b", broker.bootstrap, "--broker-pid", str(broker.pid))
        document = json.loads(call_logd("bench", "produce", *SHORT, *where, "-J").stdout)
        assert document["broker_cpu_s"] >= 0
        process = _start(broker.bootstrap, "--duration", "600")

        def command(*arguments: str) -> Done:
            return call_logd(*arguments, "-b", broker.bootstrap)

        assert seen(lambda: _written(command), lambda size: size > 0) > 0
        broker.kill()
        _, stderr = process.communicate(timeout=30)
    lines = stderr.decode().splitlines()
    assert process.returncode == 1
    assert all(line.startswith("logd: ") for line in lines)
    assert "is still there" in lines[0]
    assert f"the broker at {broker.bootstrap} closed the connection" in lines[-1]
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["produce", "--rate", "0"], "at least 1"),
        (["produce", "--acks", "2"], "'2'"),
        (["produce", "--duration", "0"], "--duration"),
        (["produce", "--topic", "t", "--partitions", "2"], "--partitions is about a topic of its own"),
        (["consume", "--topic", "t", "--fill", "2"], "--fill is about a topic of its own"),
        (["latency", "--acks", "0"], "--acks"),
        (["latency", "--broker-pid", "2147483647"], "there is no process 2147483647"),
    ],
)
def test_wrong_arguments(arguments: list[str], part: str) -> None:
    done = call_logd("bench", *arguments)
    assert_one_line(done, 2, part)
    assert done.stdout == ""


def test_no_broker() -> None:
    done: Done = run_logd("bench", "produce", "-b", "127.0.0.1:1")
    assert_one_line(done, 1, "127.0.0.1:1", "connection refused")


def _start(bootstrap: str, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "logd", "bench", "produce", "-b", bootstrap, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, stderr=stderr)


def _written(logd: Command) -> int:
    """Records in the topics of its own."""
    found = 0
    for name in _bench_topics(logd):
        done = logd("topic", "describe", name, "-J")
        if done.returncode == 0:  # else it was deleted, or is not quite there
            found += sum(row["end_offset"] or 0 for row in json.loads(done.stdout)[0]["partitions"])
    return found

"""Goal: `logd produce` and `logd consume` as processes among others: pipes, terminals, signals, brokers that go.

Method: real processes at both ends; a broker killed and started again on its port while records go through.
"""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from tests.support.broker import ROOT, LogdBroker, clean_environment
from tests.support.command_bytes import Done, assert_one_line, call, printed, start, written
from tests.support.ports import free_port

TIMEOUT_S = 60


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with a topic `t` of one partition and 20,000 records in it."""
    with LogdBroker(tmp_path_factory.mktemp("broker")) as broker:
        lines = b"".join(b"%099d\n" % number for number in range(20_000))
        written(call("produce", "t", "--create", "-b", broker.bootstrap, stdin=lines))
        yield broker.bootstrap


@contextmanager
def _at_end(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


def _ended(process: subprocess.Popen[bytes]) -> Done:
    out, err = process.communicate(timeout=TIMEOUT_S)
    return Done(process.returncode, out, err.decode())


def _read_until(stream: IO[bytes] | None, text: bytes) -> bytes:
    assert stream is not None
    os.set_blocking(stream.fileno(), False)
    deadline = time.monotonic() + TIMEOUT_S
    got = b""
    while text not in got:
        assert time.monotonic() < deadline, got
        got += stream.read() or b""
        time.sleep(0.01)
    return got


def test_records_pass_through_as_they_come(running: str) -> None:
    """A line that is written to a pipe is read at the other end at once, and no later than the next."""
    with (
        _at_end(start("consume", "through", "-b", running, "-u")) as consume,
        _at_end(start("produce", "through", "-b", running)) as produce,
    ):
        assert_one_line(_ended(consume), 1, "no topic through")
        assert_one_line(_ended(produce), 1, "no topic through")
    written(call("produce", "through", "-b", running, "--create"))
    with (
        _at_end(start("consume", "through", "-b", running)) as consume,
        _at_end(start("produce", "through", "-b", running)) as produce,
    ):
        assert produce.stdin is not None
        for line in (b"one\n", b"two\n", b"three\n"):
            produce.stdin.write(line)
            produce.stdin.flush()
            _read_until(consume.stdout, line)
        assert _ended(produce) == Done(0, b"", "")
        consume.send_signal(signal.SIGINT)
        assert _ended(consume) == Done(130, b"", "")


def test_a_reader_that_has_gone_ends_it_quietly(running: str) -> None:
    with _at_end(start("consume", "t", "-b", running)) as consume:
        assert consume.stdout is not None
        assert consume.stdout.readline() == b"%099d\n" % 0
        consume.stdout.close()
        consume.stdout = None
        assert consume.wait(TIMEOUT_S) == 141
        assert consume.stderr is not None and consume.stderr.read() == b""


def test_ctrl_c_while_waiting_for_input(running: str) -> None:
    written(call("produce", "interrupted", "-b", running, "--create"))
    with (
        _at_end(start("consume", "interrupted", "-b", running)) as consume,
        _at_end(start("produce", "interrupted", "-b", running)) as produce,
    ):
        assert produce.stdin is not None
        produce.stdin.write(b"one\n")
        produce.stdin.flush()
        _read_until(consume.stdout, b"one\n")  # then it waits for the next
        produce.send_signal(signal.SIGINT)
        assert produce.wait(TIMEOUT_S) == 130
        assert produce.stderr is not None and produce.stderr.read() == b""


def test_what_is_typed_at_a_terminal_is_sent_line_by_line(running: str) -> None:
    written(call("produce", "typed", "-b", running, "--create"))
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "logd", "produce", "typed", "-b", running]
    process = subprocess.Popen(
        command, cwd=ROOT, env=clean_environment(), stdin=terminal, stderr=subprocess.PIPE
    )
    os.close(terminal)
    try:
        with _at_end(process), _at_end(start("consume", "typed", "-b", running)) as consume:
            for line in (b"one\n", b"two\n"):
                os.write(controller, line)
                _read_until(consume.stdout, line)
            os.write(controller, b"\x04")
            assert process.wait(TIMEOUT_S) == 0
            assert process.stderr is not None and process.stderr.read() == b""
    finally:
        os.close(controller)


def test_the_end_is_told_at_a_terminal_only(running: str) -> None:
    for options, expected in (([], b"% Reached end of t [0] at offset 20000"), (["-q"], b"")):
        controller, terminal = pty.openpty()
        command = [sys.executable, "-m", "logd", "consume", "t", "-b", running, "-e", "-o", "-1", *options]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=TIMEOUT_S,
            check=True,
        )
        os.write(terminal, b"END")
        os.close(terminal)
        said = b""
        while b"END" not in said:
            said += os.read(controller, 1000)
        os.close(controller)
        assert done.stdout == b"%099d\n" % 19_999
        assert (expected in said) if expected else said == b"END"


def test_memory_stays_bounded_while_the_reader_is_slow(running: str) -> None:
    """Twenty megabytes wait in a topic; whoever does not read them is not given room for them."""
    data = os.urandom(1 << 20).replace(b"\n", b"") + b"\n"
    written(
        call(
            "produce",
            "large",
            "-b",
            running,
            "--create",
            "-D",
            "\\n\\n\\n",
            stdin=b"\n\n\n".join([data[:900_000]] * 60),
        )
    )
    with _at_end(start("consume", "large", "-b", running)) as consume:
        _read_until(consume.stdout, data[:1000])
        time.sleep(1)
        status = Path(f"/proc/{consume.pid}/status").read_text()
        peak_kib = int(status.partition("VmHWM:")[2].split()[0])
        assert peak_kib < 90 << 10


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["produce"], "TOPIC"),
        (["consume"], "TOPIC"),
        (["produce", "t", "-z", "zip"], "zip"),
        (["produce", "t", "--acks", "2"], "2"),
        (["produce", "t", "-p", "x"], "whole number"),
        (["produce", "t", "-H", "=v"], "NAME=VALUE"),
        (["produce", "t", "-K", ""], "delimiter is empty"),
        (["produce", "t", "-l"], "-l"),
        (["produce", "t", "f", "-K:"], "add -l"),
        (["produce", "t", "-J", "-kx"], "-J excludes -k"),
        (["consume", "t", "-o", "first"], "beginning, end"),
        (["consume", "t", "-c", "0"], "at least 1"),
        (["consume", "t", "-f", "%d"], "%d"),
        (["consume", "t", "-f", "%s", "-J"], "-J excludes"),
        (["consume", "t", "--isolation", "none"], "none"),
        (["consume", "t", "-G", "group"], "-G"),
        (["consume", "t", "-b", "nowhere"], "HOST:PORT"),
    ],
)
def test_wrong_arguments(arguments: list[str], part: str) -> None:
    assert_one_line(call(*arguments), 2, part)


@pytest.mark.parametrize("command", ["produce", "consume"])
def test_no_broker(command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert_one_line(call(command, "t", "-b", address, stdin=b"a\n"), 1, address, "connection refused")


@pytest.mark.parametrize("command", ["produce", "consume"])
def test_help_has_examples(command: str) -> None:
    text = printed(call(command, "--help")).decode()
    assert f"  logd {command} orders" in text


@contextmanager
def _restartable(directory: Path) -> Iterator[LogdBroker]:
    """A broker that comes back at its address."""
    with LogdBroker(directory, arguments=["--port", str(free_port())]) as broker:
        yield broker


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(tmp_path: Path) -> None:
    """Each record is stored once and printed once, though the broker goes twice while they pass."""
    count = 3000
    with _restartable(tmp_path / "broker") as broker:
        where = ["-b", broker.bootstrap, "--timeout", "90"]
        written(call("produce", "t", "--create", *where))
        with _at_end(start("consume", "t", "-c", str(count), *where)) as consume:
            with _at_end(start("produce", "t", *where)) as produce:
                assert produce.stdin is not None and consume.stdout is not None
                produce.stdin.write(b"first\n")
                produce.stdin.flush()
                assert consume.stdout.readline() == b"first\n"
                for number in range(1, count):
                    produce.stdin.write(b"%d\n" % number)
                    if number % 50 == 0:
                        produce.stdin.flush()
                        time.sleep(0.005)
                    if number in (1000, 2000):
                        broker.kill()
                        broker.restart()
                assert _ended(produce) == Done(0, b"", "")
            out, err = consume.communicate(timeout=TIMEOUT_S)
        expected = b"".join(b"%d\n" % number for number in range(1, count))
        assert (out, err) == (expected, b"")
        assert printed(call("consume", "t", "-e", *where)) == b"first\n" + expected


def test_a_broker_that_does_not_come_back_is_given_up(tmp_path: Path) -> None:
    with _restartable(tmp_path / "broker") as broker:
        where = ["-b", broker.bootstrap, "--timeout", "5"]
        written(call("produce", "t", "--create", *where))
        with (
            _at_end(start("consume", "t", *where)) as consume,
            _at_end(start("produce", "t", *where)) as produce,
        ):
            assert produce.stdin is not None
            produce.stdin.write(b"one\ntwo\n")
            produce.stdin.flush()
            _read_until(consume.stdout, b"one\ntwo\n")
            broker.kill()
            produce.stdin.write(b"three\n")
            produce.stdin.flush()
            assert_one_line(_ended(produce), 1, "2 records written", "line 3", "connection refused")
            assert_one_line(_ended(consume), 1, "connection refused")


def test_retention_that_is_quicker_is_told(running: str) -> None:
    """Records that were deleted while others were printed are missing, and that is said."""
    where = ["-b", running]
    written(call("produce", "trimmed", "--create", *where))
    with _at_end(start("consume", "trimmed", *where)) as consume:
        written(call("produce", "trimmed", *where, stdin=b"a\n"))
        _read_until(consume.stdout, b"a\n")
        consume.send_signal(signal.SIGSTOP)
        for _ in range(3):
            written(call("produce", "trimmed", *where, stdin=b"b\n"))
        time.sleep(1)  # the fetch that waits at the broker is answered meanwhile
        trimmed = threading.Thread(
            target=call, args=("topic", "trim", "trimmed", "--before", "end", "--yes", *where)
        )
        trimmed.start()
        trimmed.join()
        consume.send_signal(signal.SIGCONT)
        assert b"gone; going on at 4" in _read_until(consume.stderr, b"going on at 4")

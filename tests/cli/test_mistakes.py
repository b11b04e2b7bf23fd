"""Goal: whoever uses the command line wrongly, or at a bad moment, learns in one line what to do, never a traceback.

Method: real processes, every mistake of a new user: wrong arguments, no broker, something else in its place, one that
is silent, a reader that has gone, Ctrl-C, a terminal that is asked.
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
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.broker import ROOT, LogdBroker, clean_environment
from tests.support.command_line import Done, assert_one_line, call_logd, run_logd
from tests.support.ports import free_port

CLIENT_COMMANDS = [
    ["topic", "list"],
    ["topic", "describe", "t"],
    ["topic", "create", "t"],
    ["topic", "delete", "t"],
    ["topic", "alter", "t", "--partitions", "2"],
    ["topic", "trim", "t", "--before", "end"],
    ["topic", "compact", "t"],
    ["config", "list"],
    ["config", "get", "topic/t"],
    ["config", "set", "topic/t", "retention.ms=1"],
    ["config", "unset", "topic/t", "retention.ms"],
    ["cluster"],
    ["cluster", "apis"],
    ["produce", "t"],
    ["consume", "t", "-e"],
    ["bench", "produce"],
    ["bench", "consume"],
    ["bench", "latency"],
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker with a topic `t`."""
    with LogdBroker(tmp_path_factory.mktemp("broker")) as broker:
        assert call_logd("topic", "create", "t", "-b", broker.bootstrap).returncode == 0
        yield broker.bootstrap


def _start(*arguments: str, **streams: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "logd", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=clean_environment(), **streams)  # type: ignore[call-overload,no-any-return]


@contextmanager
def _server(answer: bytes | None, asked: threading.Event | None = None) -> Iterator[str]:
    """A peer that sends `answer` to whoever has sent something and hangs up, or stays silent for None.

    `asked` tells the test that somebody has sent something to a silent one.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                accepted.append(peer)
                if asked is not None:
                    peer.recv(1)
                    asked.set()
                if answer is not None:
                    peer.recv(1000)
                    peer.sendall(answer)
                    peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for peer in accepted:
            peer.close()


@contextmanager
def _closed_port() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody else gets it
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("command", CLIENT_COMMANDS, ids=" ".join)
def test_help_has_examples(command: list[str]) -> None:
    actions = command[:1] if command[0] in ("cluster", "produce", "consume") else command[:2]
    done = call_logd(*actions, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert f"\nexamples:\n  logd {' '.join(actions)}" in done.stdout
    assert "--timeout SECONDS" in done.stdout and "--json" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["topic"], "ACTION"),
        (["topic", "lst"], "'lst'"),
        (["-J", "topic", "list"], "-J stands before the command"),
        (["topic", "list", "--siez"], "--siez; see `logd topic list --help`"),
        (["topic", "list", "-b", "9092"], "'9092' is not HOST:PORT"),
        (["topic", "list", "-b", "::1:9092"], "'::1:9092' is not HOST:PORT"),
        (["topic", "list", "-b", "h:99999"], "HOST:PORT"),
        (["topic", "list", "-b", "h:1,"], "'' is not HOST:PORT"),
        (["topic", "list", "-b", ""], "'' is not HOST:PORT"),
        (["topic", "list", "--timeout", "0"], "--timeout"),
        (["topic", "list", "--timeout", "nan"], "--timeout"),
        (["topic", "create"], "TOPIC"),
        (["produce"], "are required: TOPIC;"),
        (["topic", "create", "t", "--partitions", "0"], "at least 1"),
        (["topic", "create", "t", "--partitions", "3000000000"], "at most 2147483647"),
        (["topic", "create", "t", "-c", "retention.ms"], "'retention.ms' is not NAME=VALUE"),
        (["topic", "alter", "t"], "--partitions"),
        (["topic", "trim", "t"], "--before"),
        (["topic", "trim", "t", "--before", "soon"], "'soon' is not a whole number"),
        (["topic", "trim", "t", "--before", "-1"], "--before"),
        (["config", "get", "orders"], "topic/NAME"),
        (["config", "get", "broker/one"], "broker/ID"),
        (["config", "set", "topic/t"], "NAME=VALUE"),
        (["config", "set", "topic/t", "=1"], "'=1' is not NAME=VALUE"),
        (["config", "set", "topic/t", "a=1", "a=2"], "given twice"),
        (["cluster", "nodes"], "'nodes'"),
        (["bench"], "ACTION"),
    ],
)
def test_wrong_arguments(arguments: list[str], part: str) -> None:
    done = call_logd(*arguments)
    assert_one_line(done, 2, part)
    assert done.stdout == ""


def test_a_wrong_variable_is_named() -> None:
    assert_one_line(run_logd("topic", "list", LOGD_BOOTSTRAP="broker"), 2, "LOGD_BOOTSTRAP", "'broker'")


@pytest.mark.parametrize("command", CLIENT_COMMANDS, ids=" ".join)
def test_no_broker(command: list[str]) -> None:
    with _closed_port() as address:
        done = run_logd(*command, LOGD_BOOTSTRAP=address)
    assert_one_line(done, 1, address, "connection refused", "--bootstrap")
    assert done.stdout == ""


def test_no_such_host() -> None:
    assert_one_line(run_logd("topic", "list", "-b", "no-such-host.invalid:9092"), 1, "cannot be resolved")
    assert_one_line(run_logd("topic", "list", "-b", "a..b:9092"), 1, "no host name")


def test_a_broker_that_never_answers() -> None:
    with _server(None) as address:
        started = time.monotonic()
        done = run_logd("topic", "list", "-b", address, "--timeout", "0.5")
        assert time.monotonic() - started < 20
    assert_one_line(done, 1, f"no answer from {address} within 0.5 s")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_something_else_in_the_brokers_place(answer: bytes) -> None:
    with _server(answer) as address:
        assert_one_line(run_logd("topic", "list", "-b", address), 1, address)


@contextmanager
def _half_a_broker(behind: str, ends: bool) -> Iterator[str]:
    """Passes one request and its answer on to a real broker, then hangs up (`ends`) or says nothing more."""
    host, _, port = behind.rpartition(":")

    def serve(listener: socket.socket, done: threading.Event) -> None:
        peer, _ = listener.accept()
        with peer, socket.create_connection((host, int(port))) as broker:
            broker.sendall(peer.recv(10_000))
            peer.sendall(broker.recv(100_000))
            peer.recv(10_000)
            if not ends:
                done.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()
        thread = threading.Thread(target=serve, args=(listener, done))
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join()


def test_a_broker_that_ends_while_it_is_asked(running: str) -> None:
    with _half_a_broker(running, ends=True) as address:
        done = run_logd("topic", "list", "-b", address)
    assert_one_line(done, 1, "connection", "is the broker still running?")


def test_a_broker_that_is_silent_while_it_is_asked(running: str) -> None:
    with _half_a_broker(running, ends=False) as address:
        done = run_logd("topic", "list", "-b", address, "--timeout", "3")  # for the real answer, too
    assert_one_line(done, 1, "did not answer within 3 s", "--timeout")


def test_the_next_broker_is_asked(running: str) -> None:
    with _closed_port() as closed:
        done = run_logd("topic", "list", "t", "-q", "-b", f"{closed},{running}")
    assert done == (0, "t\n", "")


def test_an_advertised_address_that_leads_nowhere(tmp_path: Path) -> None:
    """The trap of containers: the first connection works, the one that the broker sends clients to does not."""
    port = free_port()
    with _closed_port() as closed:
        options = ["--port", str(port), "-X", f"advertised.listeners=PLAINTEXT://{closed}"]
        with LogdBroker(tmp_path / "broker", arguments=options):
            asked = f"127.0.0.1:{port}"
            assert call_logd("topic", "create", "t", "-b", asked).returncode == 0
            done = call_logd("topic", "describe", "t", "-b", asked)
    assert_one_line(done, 1, f"{asked} names {closed}", "connection refused", "advertised.listeners")


def test_a_reader_that_has_gone(running: str) -> None:
    for command in (["topic", "list"], ["cluster", "apis"], ["topic", "describe", "t", "-J"]):
        process = _start(*command, "-b", running, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        with closing(process.stderr):
            assert (process.stderr.read(), process.wait(60)) == (b"", 141)


def test_standard_output_that_takes_nothing(running: str) -> None:
    with open("/dev/full", "wb") as full:
        process = _start("topic", "list", "-b", running, stdout=full.fileno(), stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=60)
    done = Done(process.returncode, "", errors.decode())
    assert_one_line(done, 1, "standard output", "No space left on device")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_takes_less_than_all(tmp_path: Path, unbuffered: str) -> None:
    """An unbuffered stream hands on as much as fits and says how much that was, without an error.

    Without bytecode: the interpreter would cut it at the same limit, and leave it for others to stumble over.
    """
    shell = f'ulimit -f 1; exec "{sys.executable}" -m logd consume --help > "{tmp_path / "help"}"'
    environment = clean_environment() | {"PYTHONUNBUFFERED": unbuffered, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (tmp_path / "help").stat().st_size in (512, 1024)
    assert done.returncode == 1
    assert done.stderr == b"logd: cannot write to standard output: File too large\n"


def test_standard_output_that_is_closed(running: str) -> None:
    shell = ["sh", "-c", 'exec "$0" -m logd topic list -b "$1" >&-', sys.executable, running]
    closed = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert_one_line(Done(closed.returncode, closed.stdout, closed.stderr), 1, "standard output is closed")


def test_interrupted() -> None:
    asked = threading.Event()
    with _server(None, asked) as address:
        process = _start("topic", "list", "-b", address, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert asked.wait(60)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, b"", b"")


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\n", 1), (b"y\n", 0), (None, 130)])
def test_a_terminal_is_asked_before_a_topic_goes(running: str, answer: bytes | None, code: int) -> None:
    name = f"asked-{uuid.uuid4().hex[:8]}"
    call_logd("topic", "create", name, "-b", running)
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "logd", "topic", "delete", name, "-b", running],
        cwd=ROOT,
        env=clean_environment(),
        stdin=side,
        stdout=subprocess.DEVNULL,
        stderr=side,
    )
    os.close(side)
    try:
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(terminal, 1000)
        assert f"delete topic {name}, with all records?".encode() in shown
        if answer is None:
            process.send_signal(signal.SIGINT)
        else:
            os.write(terminal, answer)
        assert process.wait(60) == code
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    left = call_logd("topic", "list", name, "-q", "-b", running).stdout
    assert left == ("" if code == 0 else f"{name}\n")

"""Goal: whoever starts the broker wrongly learns in one line what to do. Method: real processes, every mistake."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logd import __version__
from tests.support.broker import ROOT, LogdBroker, clean_environment
from tests.support.command_line import Done, assert_one_line, call_logd, run_logd
from tests.support.ports import free_port

STOCK_FILES = ROOT / "tests" / "unit" / "logd" / "config" / "kafka_files"


def _assert_one_line(done: Done, code: int, *parts: str) -> None:
    assert_one_line(done, code, *parts)
    assert "bootstrap.servers" not in done.stdout


def test_version() -> None:
    done = run_logd("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"logd {__version__}")


def test_help_pages_end_quietly_with_their_reader() -> None:
    for arguments in (["--help"], ["serve", "--help-config"]):
        command = [sys.executable, "-m", "logd", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 141)
        process.stderr.close()


def test_a_broker_goes_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "logd", "serve", "--port", port, "--data-dir", str(tmp_path / "data")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    deadline = time.monotonic() + 60
    answers = 0
    while answers < 2 and time.monotonic() < deadline:  # what it has to say comes soon after it listens
        answers += call_logd("cluster", "-b", f"127.0.0.1:{port}").returncode == 0
    assert (answers, process.poll()) == (2, None)
    process.terminate()
    assert process.wait(60) == 0
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


def test_a_broker_goes_on_when_what_it_says_finds_no_room(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "logd", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline() == b"logd: cannot write to standard output: No space left on device\n"
    process.terminate()
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_has_examples(arguments: list[str]) -> None:
    done = run_logd(*arguments)
    assert done.returncode == 0
    assert "logd serve --data-dir /srv/logd --port 0" in done.stdout


def test_help_pages() -> None:
    assert "num.partitions (int, at least 1; default 1)" in run_logd("serve", "--help-config").stdout
    assert "listeners: PLAINTEXT://127.0.0.1:9092 here" in run_logd("serve", "--help-defaults").stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "COMMAND"),
        (["sreve"], "sreve"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--port", "x"], "bad port"),
        (["serve", "--port", "65536"], "bad port"),
        (["serve", "--port", "0", "-X", "listeners=PLAINTEXT://h:1"], "--port"),
        (["serve", "--memory", "--data-dir", "d"], "--memory"),
        (["serve", "--data-dir", "d", "-X", "log.dirs=e"], "log.dirs"),
        (["serve", "--data-dir", "a,b"], "comma"),
        (["serve", "--data-dir", "\udcff"], "not UTF-8"),
        (["serve", "-X", "num.partition=1"], "did you mean num.partitions?"),
        (["serve", "-X", "num.partitions=one"], "whole number"),
        (["serve", "-X", "listeners=9092"], "NAME://HOST:PORT"),
        (["serve", "-X", "zookeeper.connect=h"], "ZooKeeper"),
        (["serve", "-X", "two\nlines=1"], "two\\nlines"),
        (["serve", "--config", "missing.properties"], "missing.properties"),
    ],
)
def test_wrong_options(arguments: list[str], part: str) -> None:
    _assert_one_line(run_logd(*arguments), 2, part)


def test_optimised_python_is_refused() -> None:
    _assert_one_line(run_logd("serve", interpreter=("-O",)), 2, "-O")
    _assert_one_line(run_logd("serve", PYTHONOPTIMIZE="1"), 2, "-O")


def test_data_directory_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    _assert_one_line(run_logd("serve", "--port", "0", "--data-dir", str(file)), 1, str(file), "is a file")
    _assert_one_line(run_logd("serve", "--port", "0", "--data-dir", str(file / "below")), 1, "below a file")


def test_data_directory_is_a_link_to_nowhere(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    _assert_one_line(
        run_logd("serve", "--port", "0", "--data-dir", str(link)), 1, str(link), f"{tmp_path / 'gone'}, which"
    )


def test_a_working_directory_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f'rmdir "{gone}"; exec "{sys.executable}" "{ROOT}/logd/__main__.py" serve --port 0'
    done = subprocess.run(["sh", "-c", command], cwd=gone, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr == b"logd: the working directory was removed; change to one that is there\n"


def test_data_directories_that_are_not_apart(tmp_path: Path) -> None:
    one, link, within = tmp_path / "one", tmp_path / "link", tmp_path / "one" / "within-0"
    one.mkdir()
    link.symlink_to(one)
    for other, part in ((link, "twice"), (within, "within the other")):
        arguments = ["serve", "--port", "0", "-X", f"log.dirs={one},{other}"]
        _assert_one_line(run_logd(*arguments), 2, str(one), str(other), part)
    assert list(one.iterdir()) == []


def test_a_data_directory_removed_under_the_broker_is_told_by_the_stop(tmp_path: Path) -> None:
    broker = LogdBroker(tmp_path)
    # Shortly after its start it writes what the start left to do. That is done when a first change of metadata is.
    assert call_logd("topic", "create", "t", "-b", broker.bootstrap).returncode == 0
    shutil.rmtree(broker.data_dir)
    assert broker.stop() == 1
    said = [line for line in broker.output().splitlines() if line.startswith("logd:")]
    assert len(said) == 1 and "removed while the broker ran" in said[0] and str(broker.data_dir) in said[0]
    assert not broker.data_dir.exists()


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_data_directory_is_not_taken_for_the_default(empty: str) -> None:
    """A script's unset variable must not make, or use, a directory in whatever place it runs."""
    _assert_one_line(
        run_logd("serve", "--port", "0", "--data-dir", empty), 2, "--data-dir", "names no directory"
    )


def test_data_directory_cannot_be_made() -> None:
    _assert_one_line(run_logd("serve", "--port", "0", "--data-dir", "/proc/logd"), 1, "/proc/logd")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_data_directory_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        _assert_one_line(run_logd("serve", "--port", "0", "--data-dir", str(tmp_path)), 1, "not writable")
    finally:
        tmp_path.chmod(0o700)


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        _assert_one_line(run_logd("serve", "--port", port, "--data-dir", str(tmp_path)), 1, port)


def test_host_is_not_of_this_machine(tmp_path: Path) -> None:
    _assert_one_line(
        run_logd("serve", "--host", "203.0.113.1", "--port", "0", "--data-dir", str(tmp_path)),
        1,
        "203.0.113.1",
    )


def test_data_directory_in_use(broker: LogdBroker) -> None:
    _assert_one_line(
        run_logd("serve", "--port", "0", "--data-dir", str(broker.data_dir)), 1, str(broker.data_dir)
    )


@pytest.mark.parametrize("property_", ["cluster.id=AAAAAAAAAAAAAAAAAAAAAA", "node.id=77"])
def test_data_directory_of_another(broker: LogdBroker, property_: str) -> None:
    broker.stop()
    name = property_.partition("=")[0]
    _assert_one_line(
        run_logd("serve", "--port", "0", "--data-dir", str(broker.data_dir), "-X", property_),
        1,
        name.split(".")[0],
    )


def test_what_a_start_says(tmp_path: Path) -> None:
    with LogdBroker(
        tmp_path / "broker", properties={"num.io.threads": "8", "log.flush.interval.messages": "1"}
    ) as broker:
        assert broker.stop() == 0
        output = broker.output()
    assert "taken without effect: num.io.threads" in output
    assert "durability: synced to disk before every acknowledgement" in output
    assert f"log.dirs={broker.data_dir}" in output


@pytest.mark.parametrize("name", ["server.properties", "broker.properties"])
def test_kafkas_own_files_start_a_broker(tmp_path: Path, name: str) -> None:
    with LogdBroker(tmp_path / "broker", arguments=["--config", str(STOCK_FILES / name)]) as broker:
        output = broker.output()
    [line] = [line for line in output.splitlines() if line.startswith("taken without effect")]
    assert "num.network.threads" in line and "controller.quorum.bootstrap.servers" in line
    assert broker.bootstrap.startswith("127.0.0.1:"), "--port stands before the file's listeners"


def test_kafkas_file_for_controllers_is_refused_in_one_line(tmp_path: Path) -> None:
    file = STOCK_FILES / "controller" / "controller.properties"
    done = run_logd("serve", "--data-dir", str(tmp_path / "data"), "--config", str(file))
    _assert_one_line(done, 2, "process.roles has no broker")


def test_every_listener_is_named(tmp_path: Path) -> None:
    done = subprocess.Popen(
        [
            *(sys.executable, "-m", "logd", "serve", "--data-dir", str(tmp_path / "data")),
            *("-X", "listeners=INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0"),
            *("-X", "listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"),
            *("-X", "advertised.listeners=INSIDE://127.0.0.1:0,OUTSIDE://outside.example:19092"),
        ],
        cwd=ROOT,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.stdout is not None
    first, second = done.stdout.readline(), done.stdout.readline()
    done.terminate()
    done.communicate(timeout=60)
    assert "bootstrap.servers=127.0.0.1:" in first and not first.rstrip().endswith(":0")
    assert second == "listener OUTSIDE: outside.example:19092\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_in_order(broker: LogdBroker, number: signal.Signals) -> None:
    os.kill(broker.pid, number)
    assert broker.stop() == 0
    assert "Traceback" not in broker.output()


def test_memory_leaves_nothing_behind(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "logd", "serve", "--memory", "--port", "0"],
        cwd=ROOT,
        env=clean_environment() | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("durability:"):
            break
    process.terminate()
    output = "".join(lines) + process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "goes with the process" in output
    directory = output.partition("log.dirs=")[2].split()[0]
    assert not os.path.exists(directory)

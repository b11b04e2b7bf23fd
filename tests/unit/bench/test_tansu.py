"""Goal: tansu is started where it is on the path, and awaited. Method: a program of that name that listens or ends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.targets import registry as targets
from bench.targets.tansu import Tansu, missing

LISTENS = """
import socket, sys, time
options = dict(each.lstrip("-").split("=", 1) for each in sys.argv[1:])
assert options["storage-engine"].startswith("memory:")
assert options["kafka-listener-url"] == options["kafka-advertised-listener-url"]
time.sleep(0.05)
server = socket.create_server(("127.0.0.1", int(options["kafka-listener-url"].rpartition(":")[2])))
while True:
    server.accept()
"""


def _install(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str) -> None:
    program = directory / name
    program.write_text(f"#!{sys.executable}\n{source}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))


@pytest.mark.parametrize("name", ["tansu", "nisshi"])
def test_it_is_up_when_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _install(tmp_path, monkeypatch, name, LISTENS)
    assert missing() is None
    tansu = Tansu(tmp_path)
    assert tansu.pid > 0
    tansu.stop()


def test_one_that_ends_is_no_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, monkeypatch, "tansu", "raise SystemExit(1)")
    with pytest.raises(RuntimeError, match="did not start"):
        Tansu(tmp_path)


def test_where_it_is_not_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert targets.missing("tansu") == "not found: tansu or nisshi"

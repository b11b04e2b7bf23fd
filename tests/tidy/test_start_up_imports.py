"""Goal: a start loads only what it needs, since every module costs milliseconds. Method: look at what was loaded.

The whole start has 0.2 s. What is slow to import (measured: javaproperties 37 ms, typer 45 ms, rich 34 ms, inspect
through dataclasses 5 ms where nothing else needs it) must not creep in.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from logd.cli import COMMANDS
from tests.support.broker import ROOT, clean_environment

NEVER_AT_START = {
    "javaproperties",
    "re2",
    "typer",
    "click",
    "rich",
    "msgspec",
    "pydantic",
    "difflib",
    "pdb",
    "unittest",
    "multiprocessing",
    "concurrent.futures.process",
    "coordinator.group_shard",
    "coordinator.transaction_shard",
    "logd.config.other_keys",
    "logd.config_help",
    "logd.load",
}


def _modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_a_start_does_not_load_what_it_does_not_need() -> None:
    loaded = _modules_after(
        "import logd.cli, logd.serve, logd.broker\n"
        "from logd.config import load_config\n"
        "load_config(['num.partitions=2'])"
    )
    assert not loaded & NEVER_AT_START


def test_help_does_not_load_the_broker() -> None:
    loaded = _modules_after(
        "import logd.cli\ntry: logd.cli.run(['--version'], started=0)\nexcept SystemExit: pass"
    )
    assert not loaded & {"asyncio", "uvloop", "protocol", "storage", "logd.broker"}


@pytest.mark.parametrize(
    "command", ["topic list", "config set", "cluster", "produce", "consume", "bench latency", "dump"]
)
def test_help_of_a_command_loads_no_more_than_its_options(command: str) -> None:
    arguments = [*command.split(), "--help"]
    loaded = _modules_after(f"import logd.cli; logd.cli.run({arguments!r}, started=0)")
    assert not loaded & {
        "asyncio",
        "json",
        "uvloop",
        "protocol.errors",
        "storage",
        "logd.clients.client",
        "logd.serve",
    }
    others = {f"logd.cli.{name}" for name in COMMANDS if name != command.split(maxsplit=1)[0]}
    assert not loaded & others


def test_a_start_loads_no_other_command() -> None:
    loaded = _modules_after("import logd.cli; logd.cli.run(['serve', '--port', 'x'], started=0)")
    assert not loaded & {f"logd.cli.{name}" for name in COMMANDS if name != "serve"}
    assert not loaded & {"asyncio", "json", "logd.clients.client"}

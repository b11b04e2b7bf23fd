"""Goal: a required toolchain cannot be skipped unnoticed. Method: a small test run, with and without the demand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.broker import ROOT

_TESTS = """
import pytest

@pytest.mark.java
def test_of_java():
    pytest.skip("no JDK")

@pytest.mark.parametrize("client", ["some-client"])
def test_of_a_client(client):
    pass

def test_of_nothing():
    pytest.skip("not here")
"""


def _run(directory: Path, require: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_small.py").write_text(_TESTS)
    command = [
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:randomly",
        f"--rootdir={directory}",
        str(directory),
    ]
    options = ["-c", str(ROOT / "pyproject.toml")]
    return subprocess.run(
        [sys.executable, *command, *options],
        cwd=ROOT,
        env=os.environ | {"LOGD_REQUIRE": require, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_skips_pass_where_nothing_is_required(tmp_path: Path) -> None:
    done = _run(tmp_path, "")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 2 skipped" in done.stdout


def test_a_skip_fails_where_its_toolchain_is_required(tmp_path: Path) -> None:
    done = _run(tmp_path, "java,go")
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 skipped" in done.stdout
    assert "skipped although LOGD_REQUIRE names java" in done.stdout


def test_clients_are_counted(tmp_path: Path) -> None:
    lines = [line.split() for line in _run(tmp_path, "java").stdout.splitlines()]
    assert ["client", "passed", "failed", "skipped"] in lines
    assert ["some-client", "1", "0", "0"] in lines
    assert ["java", "0", "1", "0"] in lines


def test_an_unknown_toolchain_is_an_error(tmp_path: Path) -> None:
    done = _run(tmp_path, "jav")
    assert done.returncode != 0
    assert "LOGD_REQUIRE names jav" in done.stderr

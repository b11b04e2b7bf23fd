"""Running `logd` as a user does, and what is asked of every failure: one line that says what to do."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple, TypeVar

from logd.cli import run
from tests.support.broker import ROOT, clean_environment


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


T = TypeVar("T")

Command = Callable[..., Done]
"""What a test calls with the arguments of a command."""


def run_logd(*arguments: str, interpreter: tuple[str, ...] = (), **environment: str) -> Done:
    """In a process of its own, with `environment` beside this process's without LOGD_ variables."""
    done = subprocess.run(
        [sys.executable, *interpreter, "-m", "logd", *arguments],
        cwd=ROOT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def call_logd(*arguments: str) -> Done:
    """Within this process, which takes a tenth of the time."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stderr = io.StringIO()
    with redirect_stdout(stdout), redirect_stderr(stderr):
        code = run(arguments, started=0)
    return Done(code, stdout.buffer.getvalue().decode(), stderr.getvalue())  # type: ignore[attr-defined]


def seen(look: Callable[[], T], expected: Callable[[T], bool]) -> T:
    """What `look` returns once it is as expected, or after a minute: in Kafka, brokers learn of changes later."""
    deadline = time.monotonic() + 60
    while not expected(found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def assert_one_line(done: Done, code: int, *parts: str) -> None:
    """Nothing but one line on standard error, with `parts` in it."""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("logd: ")
    for part in parts:
        assert part in lines[0]
    assert done.returncode == code

"""Running `logd produce` and `logd consume`: bytes in, bytes out, in this process or in one that lives on."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

from logd.cli import run
from tests.support.broker import ROOT, clean_environment


class Done(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: bytes
    stderr: str


def call(*arguments: str, stdin: bytes = b"") -> Done:
    """Run a command within this process, with `stdin` as a regular file."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stderr = io.StringIO()
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        text = io.TextIOWrapper(file)
        with redirect_stdout(stdout), redirect_stderr(stderr), mock.patch.object(sys, "stdin", text):
            code = run(arguments, started=0)
        text.detach()
    return Done(code, stdout.buffer.getvalue(), stderr.getvalue())  # type: ignore[attr-defined]


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a command with pipes at all its ends; the caller ends it."""
    return subprocess.Popen(
        [sys.executable, "-m", "logd", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def written(done: Done) -> None:
    """Check that a command said nothing and did what it was asked."""
    assert done == Done(0, b"", "")


def printed(done: Done) -> bytes:
    """What a command printed, which had nothing to complain about."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def assert_one_line(done: Done, code: int, *parts: str) -> None:
    """Nothing but one line on standard error, with `parts` in it."""
    assert done.returncode == code, done
    [line] = done.stderr.splitlines()
    assert line.startswith("logd: ")
    for part in parts:
        assert part in line

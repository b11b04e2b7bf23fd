"""The program with the Go clients: tests/compat/go, built once from its pinned modules.

It lies in tests/compat/go/target and is built again when a source, go.mod or go.sum is newer. Modules and compiled
packages are where Go keeps them (GOMODCACHE, GOCACHE): a second build compiles what changed, nothing else.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from tests.support import toolchain

HOME = Path(__file__).resolve().parents[1] / "compat" / "go"
TARGET = HOME / "target"
# Modules as go.sum has them. A toolchain older than go.mod asks for fetches that one by itself.
_ENVIRONMENT = {"GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}


@cache
def program() -> Path:
    """The program, built first where that is still to do."""
    made = TARGET / "probe"
    with toolchain.locked(TARGET / "lock"):
        if not is_built():
            command = ["go", "build", "-ldflags", "-s -w", "-o", str(made), "."]
            toolchain.run_checked(command, timeout=900, directory=HOME, environment=_ENVIRONMENT)
            made.touch()  # the linker leaves an unchanged program as old as it was
    return made


def is_built() -> bool:
    return toolchain.is_newer(TARGET / "probe", [*HOME.glob("*.go"), HOME / "go.mod", HOME / "go.sum"])


def missing_tools() -> str | None:
    """Why tests with Go clients cannot run here, or None when they can."""
    return toolchain.missing_tools("go")


def prepare() -> None:
    """Fetch and build. Says what it does only where that takes a while."""
    missing = missing_tools()
    if missing:
        print(f"tests with Go clients will be skipped: {missing}")
        return
    if not is_built():
        print("building the program with the Go clients", flush=True)
    try:
        program()
    except RuntimeError as failure:  # the tests that need it will fail by themselves, the others can run
        print(failure, file=sys.stderr)

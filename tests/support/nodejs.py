"""The programs with the Node.js clients: tests/compat/node, with the packages that its lock file pins.

They lie in tests/compat/node/node_modules and are installed anew when package-lock.json is newer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.support import toolchain

HOME = Path(__file__).resolve().parents[1] / "compat" / "node"
_MODULES = HOME / "node_modules"
# No package may run a script of its own, and nothing is asked that the tests do not need.
_INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@cache
def command(program: str = "probe.js") -> Sequence[str]:
    """The argument vector of a program; packages are installed first where that is still to do."""
    with toolchain.locked(HOME / "target" / "lock"):
        if not is_installed():
            toolchain.run_checked(_INSTALL, timeout=600, directory=HOME)
            _stamp().touch()
    return ("node", str(HOME / program))


def is_installed() -> bool:
    return toolchain.is_newer(_stamp(), [HOME / "package.json", HOME / "package-lock.json"])


def missing_tools() -> str | None:
    """Why tests with Node.js clients cannot run here, or None when they can."""
    return toolchain.missing_tools("node", "npm")


def prepare() -> None:
    """Install. Says what it does only where that takes a while."""
    missing = missing_tools()
    if missing:
        print(f"tests with Node.js clients will be skipped: {missing}")
        return
    if not is_installed():
        print("fetching the Node.js clients from npm's registry", flush=True)
    try:
        command()
    except RuntimeError as failure:  # the tests that need it will fail by themselves, the others can run
        print(failure, file=sys.stderr)


def _stamp() -> Path:
    """npm writes it last and `npm ci` removes it first, with everything else."""
    return _MODULES / ".package-lock.json"

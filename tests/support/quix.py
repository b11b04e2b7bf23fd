"""quixstreams in an environment of its own, since it wants an older confluent-kafka than the tests have.

It lies in tests/compat/quix/target and is made anew when tests/compat/quix/requirements.txt is newer.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from tests.support import toolchain

HOME = Path(__file__).resolve().parents[1] / "compat" / "quix"
_REQUIREMENTS = HOME / "requirements.txt"
_ENVIRONMENT = HOME / "target" / "venv"
_STAMP = HOME / "target" / "made"


@cache
def python() -> Path:
    """The interpreter of the environment, which is made first where that is still to do."""
    found = _ENVIRONMENT / "bin" / "python"
    with toolchain.locked(HOME / "target" / "lock"):
        if not is_made():
            toolchain.run_checked([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], timeout=120)
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            toolchain.run_checked([str(found), *install, "--requirement", str(_REQUIREMENTS)], timeout=900)
            _STAMP.touch()
    return found


def is_made() -> bool:
    return toolchain.is_newer(_STAMP, [_REQUIREMENTS])


def missing() -> str | None:
    """Why tests with quixstreams cannot run here, or None when they can."""
    return None if is_made() else "quixstreams is not installed: python -m tests.support.prepare"


def prepare() -> None:
    """Install. Says what it does only where that takes a while."""
    if not is_made():
        print("fetching quixstreams from PyPI", flush=True)
    try:
        python()
    except RuntimeError as failure:  # the tests that need it will fail by themselves, the others can run
        print(failure, file=sys.stderr)

"""What building helper programs in other languages has in common: is it built already, one builder at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def missing_tools(*names: str) -> str | None:
    """Which of these programs are not installed, as a sentence; None when all are."""
    missing = [name for name in names if shutil.which(name) is None]
    return f"not found: {', '.join(missing)}" if missing else None


def is_newer(made: Path, origins: Sequence[Path]) -> bool:
    """Is `made` there, and no older than what it is made from?"""
    if not made.exists():
        return False
    made_at = made.stat().st_mtime
    return all(origin.stat().st_mtime <= made_at for origin in origins)


def run_checked(
    command: Sequence[str],
    *,
    timeout: float,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run to the end. Raises RuntimeError with what it wrote when it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=directory,
        env=os.environ | dict(environment or {}),
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file that test processes share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

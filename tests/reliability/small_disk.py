"""A file system of a few megabytes, to be filled."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


class MountRefused(Exception):
    """This user may not mount; the message is one line."""


class SmallDisk:
    """A tmpfs mounted at `path`; a context manager. Ballast takes the room that producers leave."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        self._size_bytes = size_bytes

    def __enter__(self) -> SmallDisk:
        """Raises: MountRefused."""
        self.path.mkdir(parents=True, exist_ok=True)
        mount = shutil.which("mount")
        if mount is None:
            raise MountRefused("mount is not installed")
        command = [mount, "-t", "tmpfs", "-o", f"size={self._size_bytes}", "tmpfs", str(self.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MountRefused(done.stderr.strip().splitlines()[0])
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, name: str = "ballast", leave_bytes: int = 0) -> None:
        """Put a file there that leaves `leave_bytes` free."""
        with (self.path / name).open("wb") as file:
            size = self.free_bytes - leave_bytes
            if size > 0:
                os.posix_fallocate(file.fileno(), 0, size)

    def remove(self, name: str = "ballast") -> None:
        (self.path / name).unlink()

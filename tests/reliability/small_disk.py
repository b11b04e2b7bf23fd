"""File systems for a broker to run on: one of a few megabytes, to be filled; one that goes away and comes back."""

from __future__ import annotations

import errno
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
        _mount("-t", "tmpfs", "-o", f"size={self._size_bytes}", "tmpfs", str(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=True)

    @property
    def free_bytes(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, name: str = "ballast", leave_bytes: int = 0) -> None:
        """Put a file there that leaves `leave_bytes` free. What a broker at work takes meanwhile is not counted on."""
        with (self.path / name).open("wb") as file:
            while (size := self.free_bytes - leave_bytes) > 0:
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                else:
                    return

    def remove(self, name: str = "ballast") -> None:
        (self.path / name).unlink()


class RemovableDisk:
    """A directory of its own mounted at `path`; a context manager. What is on it outlives being taken away."""

    def __init__(self, path: Path, content: Path) -> None:
        self.path = path
        self._content = content
        self._is_mounted = False

    def __enter__(self) -> RemovableDisk:
        """Raises: MountRefused."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._content.mkdir(parents=True, exist_ok=True)
        self.mount()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_mounted:
            self.take_away()

    def mount(self, *, read_only: bool = False) -> None:
        """Raises: MountRefused."""
        _mount("--bind", str(self._content), str(self.path))
        self._is_mounted = True
        if read_only:
            _mount("-o", "remount,bind,ro", str(self.path))

    def take_away(self) -> None:
        """Like pulling the plug: files that are open stay open, and nothing more is found by its path."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)
        self._is_mounted = False


def _mount(*arguments: str) -> None:
    mount = shutil.which("mount")
    if mount is None:
        raise MountRefused("mount is not installed")
    done = subprocess.run([mount, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise MountRefused(done.stderr.strip().splitlines()[0])

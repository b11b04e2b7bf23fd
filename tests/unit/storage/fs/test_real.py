"""Goal: what only the real file system has: descriptors, short writes, residency, the mount table.

Method: system calls on a temporary directory; a file size limit stands in for the full disk, since the kernel then
cuts a write short and fails the next, as a disk does.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import DirectoryLocked, NoSpace, StorageFailure
from storage.fs import OpenMode
from storage.fs.real import RealFileSystem
from storage.region import FileRegion
from tests.unit.storage.fs.test_residency import until


@pytest.fixture
def file_size_limit() -> Iterator[int]:
    """No file of this process may grow beyond so many bytes."""
    limit = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_takes_a_half_written_append_back(tmp_path: Path, file_size_limit: int) -> None:
    path = str(tmp_path / "a")
    file = RealFileSystem().open(path, OpenMode.APPEND)
    file.append(b"x" * 9_000)
    with pytest.raises(NoSpace):
        file.append(b"y" * 2_000)
    assert file.size() == 9_000 == os.path.getsize(path)
    assert file.append(b"z" * 1_000) == 9_000, "the file goes on once there is room"


def test_the_descriptor_lives_as_long_as_the_last_region(tmp_path: Path) -> None:
    fs = RealFileSystem()
    file = fs.open(str(tmp_path / "a"), OpenMode.APPEND)
    file.append(b"abc")
    region = FileRegion(file, 0, 3)
    descriptor = file.fileno()
    file.close()
    del file
    assert fs.open_files == 1
    assert os.pread(descriptor, 3, 0) == b"abc"
    del region
    assert fs.open_files == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_residency_follows_the_page_cache(tmp_path: Path) -> None:
    fs = RealFileSystem()
    file = fs.open(str(tmp_path / "a"), OpenMode.APPEND)
    file.append(bytes(2 << 20))
    if fs.is_memory_device(os.stat(tmp_path).st_dev):
        pytest.skip("the temporary directory is in memory")
    assert file.is_resident(0, 2 << 20)
    file.sync()
    if not hasattr(os, "RWF_NOWAIT"):
        pytest.skip("no non-blocking reads here")
    until(
        lambda: file.read_resident(1 << 20, 10) is None,
        lambda: os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED),
    )
    assert not file.is_resident(1 << 20, 1 << 20)
    until(lambda: file.is_resident(1 << 20, 1 << 20), lambda: file.read_at(1 << 20, 1 << 20))
    assert file.read_resident(1 << 20, 10) == bytes(10)


def test_memory_is_always_resident() -> None:
    fs = RealFileSystem()
    if not os.path.isdir("/dev/shm") or not fs.is_memory_device(os.stat("/dev/shm").st_dev):
        pytest.skip("no tmpfs at /dev/shm")
    path = f"/dev/shm/logd-test-{os.getpid()}"
    file = fs.open(path, OpenMode.CREATE)
    try:
        file.append(b"abc")
        assert file.is_resident(0, 3)
        assert file.read_resident(1, 2) == b"bc"
        assert file.read_resident(1, 3) is None
    finally:
        os.unlink(path)


def test_an_unknown_device_is_not_memory() -> None:
    assert not RealFileSystem().is_memory_device(os.makedev(4095, 1))


def test_an_unwritable_directory_is_a_storage_failure() -> None:
    with pytest.raises(StorageFailure, match=r"^/proc/none/a: No such file or directory$"):
        RealFileSystem().open("/proc/none/a", OpenMode.APPEND)


_TAKE_POSIX_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_posix_lock_as_java_takes_it_is_respected(tmp_path: Path) -> None:
    path = str(tmp_path / ".lock")
    Path(path).touch()
    with subprocess.Popen(
        [sys.executable, "-c", _TAKE_POSIX_LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(DirectoryLocked):
            RealFileSystem().lock(path)
        other.communicate()
    RealFileSystem().lock(path).release()

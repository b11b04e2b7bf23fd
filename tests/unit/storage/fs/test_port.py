"""Goal: the three file systems keep the same promises. Method: the same cases on each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.errors import DirectoryLocked, StorageFailure
from storage.fs import FileSystem, OpenMode
from storage.fs.faulty import FaultyFileSystem
from storage.fs.memory import MemoryFileSystem
from storage.fs.real import RealFileSystem
from storage.region import FileRegion

MAKERS: dict[str, Callable[[], FileSystem]] = {
    "real": RealFileSystem,
    "memory": MemoryFileSystem,
    "faulty": FaultyFileSystem,
}


@pytest.fixture(params=MAKERS)
def fs(request: pytest.FixtureRequest) -> FileSystem:
    return MAKERS[request.param]()


@pytest.fixture
def root(fs: FileSystem, tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "data")
    fs.makedirs(path)
    yield path


def test_append_returns_the_position_and_tracks_the_size(fs: FileSystem, root: str) -> None:
    file = fs.open(f"{root}/a", OpenMode.APPEND)
    assert file.append(b"abc") == 0
    assert file.append(memoryview(bytearray(b"de"))) == 3
    assert file.append(bytearray(b"fghi")) == 5
    assert file.size() == 9 == fs.size(f"{root}/a")
    assert file.read_at(0, 100) == b"abcdefghi" == fs.read_file(f"{root}/a")
    assert file.read_at(4, 2) == b"ef"
    assert file.read_at(9, 1) == b""


def test_opening_again_appends_at_the_end_and_create_empties(fs: FileSystem, root: str) -> None:
    fs.open(f"{root}/a", OpenMode.APPEND).append(b"abc")
    file = fs.open(f"{root}/a", OpenMode.APPEND)
    assert (file.size(), file.append(b"d")) == (3, 3)
    assert fs.open(f"{root}/a", OpenMode.CREATE).size() == 0
    assert fs.read_file(f"{root}/a") == b""


def test_a_file_opened_for_reading_refuses_writes(fs: FileSystem, root: str) -> None:
    fs.open(f"{root}/a", OpenMode.CREATE).append(b"abc")
    file = fs.open(f"{root}/a", OpenMode.READ)
    with pytest.raises(StorageFailure):
        file.append(b"x")
    assert file.read_at(0, 9) == b"abc"


def test_missing_files_and_directories_fail_with_their_path(fs: FileSystem, root: str) -> None:
    for attempt in (
        lambda: fs.open(f"{root}/none", OpenMode.READ),
        lambda: fs.open(f"{root}/none/a", OpenMode.APPEND),
        lambda: fs.read_file(f"{root}/none"),
        lambda: fs.size(f"{root}/none"),
        lambda: fs.listdir(f"{root}/none"),
        lambda: fs.rename(f"{root}/none", f"{root}/other"),
        lambda: fs.sync_dir(f"{root}/none"),
    ):
        with pytest.raises(StorageFailure, match=r"none.*No such file"):
            attempt()


def test_truncate_cuts_and_appends_go_on_from_there(fs: FileSystem, root: str) -> None:
    file = fs.open(f"{root}/a", OpenMode.APPEND)
    file.append(b"abcdef")
    file.truncate(2)
    assert (file.size(), file.append(b"X")) == (2, 2)
    assert fs.read_file(f"{root}/a") == b"abX"
    with pytest.raises(ValueError, match="extend"):
        file.truncate(4)


def test_a_closed_file_refuses_appends_but_is_read_and_synced(fs: FileSystem, root: str) -> None:
    file = fs.open(f"{root}/a", OpenMode.APPEND)
    file.append(b"abc")
    file.close()
    with pytest.raises(StorageFailure, match="closed"):
        file.append(b"d")
    file.sync()
    assert file.read_at(0, 3) == b"abc"


def test_a_region_survives_rename_close_and_removal(fs: FileSystem, root: str) -> None:
    file = fs.open(f"{root}/a", OpenMode.APPEND)
    file.append(b"abcdef")
    region = FileRegion(file, 1, 3)
    file.close()
    fs.rename(f"{root}/a", f"{root}/b")
    fs.remove(f"{root}/b")
    del file
    assert (len(region), region.read()) == (3, b"bcd")


def test_directories_list_make_and_remove(fs: FileSystem, root: str) -> None:
    fs.makedirs(f"{root}/x/y")
    fs.makedirs(f"{root}/x")
    fs.open(f"{root}/x/b", OpenMode.APPEND)
    fs.open(f"{root}/x/y/c", OpenMode.APPEND)
    assert fs.listdir(root) == ["x"]
    assert fs.listdir(f"{root}/x") == ["b", "y"]
    assert fs.is_dir(f"{root}/x/y") and not fs.is_dir(f"{root}/x/b")
    fs.rename(f"{root}/x", f"{root}/z")
    assert fs.exists(f"{root}/z/y/c") and not fs.exists(f"{root}/x")
    fs.remove_tree(f"{root}/z")
    fs.remove_tree(f"{root}/z")
    fs.remove(f"{root}/z/y/c")
    assert fs.listdir(root) == []


def test_rename_replaces_a_file(fs: FileSystem, root: str) -> None:
    fs.open(f"{root}/a", OpenMode.APPEND).append(b"new")
    fs.open(f"{root}/b", OpenMode.APPEND).append(b"old")
    fs.rename(f"{root}/a", f"{root}/b")
    assert fs.read_file(f"{root}/b") == b"new"
    assert fs.listdir(root) == ["b"]


def test_write_atomic_replaces_and_leaves_nothing_beside(fs: FileSystem, root: str) -> None:
    fs.write_atomic(f"{root}/a", b"one")
    fs.write_atomic(f"{root}/a", b"two")
    assert fs.read_file(f"{root}/a") == b"two"
    assert fs.listdir(root) == ["a"]


def test_a_lock_is_exclusive_until_released(fs: FileSystem, root: str) -> None:
    lock = fs.lock(f"{root}/.lock")
    with pytest.raises(DirectoryLocked):
        fs.lock(f"{root}/.lock")
    lock.release()
    fs.lock(f"{root}/.lock").release()


def test_a_disk_has_a_size_and_room(fs: FileSystem, root: str) -> None:
    fs.mkdir(f"{root}/d")
    space = fs.disk_space(f"{root}/d")
    assert 0 < space.usable <= space.total
    with pytest.raises(StorageFailure) as failure:
        fs.disk_space(f"{root}/missing")
    assert "missing" in failure.value.path

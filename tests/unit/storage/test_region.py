"""When a region is copied, and when it is left to whoever sends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.errors import StorageFailure
from storage.fs import File, OpenMode
from storage.fs.real import RealFile, RealFileSystem
from storage.region import FileRegion


@pytest.fixture
def file(tmp_path: Path) -> File:
    (tmp_path / "segment").write_bytes(bytes(range(100)))
    return RealFileSystem().open(str(tmp_path / "segment"), OpenMode.READ)


def test_what_is_in_memory_is_copied(file: File) -> None:
    assert FileRegion(file, 20, 30).copy() == bytes(range(20, 50))


def test_what_is_not_there_in_full_is_not_copied(file: File) -> None:
    assert FileRegion(file, 90, 11).copy() is None


def test_what_would_wait_for_the_disk_is_not_copied(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RealFile, "read_resident", lambda file, position, size: None)
    assert FileRegion(file, 0, 10).copy() is None


def test_a_failure_is_left_to_whoever_sends(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: RealFile, _position: int, _size: int) -> None:
        raise StorageFailure(file.name, "a bad sector")

    monkeypatch.setattr(RealFile, "read_resident", fail)
    assert FileRegion(file, 0, 10).copy() is None

"""Goal: who reads through ReadAhead gets what the file holds, whatever is asked for, and the next piece is there early.

Method: random reads of a file in memory are compared with the file; an executor that does nothing until it is told
shows what is read ahead, and when.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.cleaning.read_ahead import ReadAhead
from storage.errors import StorageFailure
from storage.fs import File, OpenMode
from storage.fs.memory import MemoryFileSystem

CONTENT = random.Random(7).randbytes(300_000)
PIECE = 50_000


class Later(Executor):
    """Does what it was given when it is told."""

    def __init__(self) -> None:
        self._work: list[Callable[[], None]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except StorageFailure as failure:
                future.set_exception(failure)

        self._work.append(run)
        return future

    def do_all(self) -> None:
        for run in self._work:
            run()
        self._work.clear()


class Watched:
    """A file that notes what is read of it."""

    def __init__(self, content: bytes) -> None:
        fs = MemoryFileSystem(0)
        fs.makedirs("/data")
        file = fs.open("/data/file", OpenMode.CREATE)
        file.append(content)
        self._file = file
        self.reads: list[tuple[int, int]] = []
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read_at(self, position: int, size: int) -> bytes:
        self.reads.append((position, size))
        if self.fails:
            raise StorageFailure("file", "broken")
        return self._file.read_at(position, size)


def watched(content: bytes = CONTENT) -> Any:
    return Watched(content)


@given(st.lists(st.tuples(st.integers(0, len(CONTENT)), st.integers(1, 150_000)), max_size=12))
def test_any_reads_give_what_the_file_holds(reads: list[tuple[int, int]]) -> None:
    file: File = watched()
    with ThreadPoolExecutor(1) as thread:
        ahead = ReadAhead(file, thread)
        for position, size in reads:
            assert bytes(ahead.read_at(position, size)) == CONTENT[position : position + size]


@pytest.mark.parametrize("goes_back", [0, 1, 16_000, 60_000])
def test_what_comes_next_is_read_before_it_is_asked_for(goes_back: int) -> None:
    """Also when the reader goes back to where a batch begins."""
    file, later = watched(), Later()
    ahead = ReadAhead(file, later)
    position, size = 0, 100_000
    ahead.read_at(position, size)
    later.do_all()
    file.reads.clear()
    position += size - goes_back
    assert bytes(ahead.read_at(position, size)) == CONTENT[position : position + size]
    assert file.reads == []


def test_a_reader_that_goes_far_back_is_known_from_then_on() -> None:
    content = random.Random(8).randbytes(2_000_000)
    file, later = watched(content), Later()
    ahead = ReadAhead(file, later)
    position, size, goes_back = 0, 300_000, 150_000
    reads_at_once = []
    for _ in range(4):
        later.do_all()
        file.reads.clear()
        assert bytes(ahead.read_at(position, size)) == content[position : position + size]
        reads_at_once.append(len(file.reads))
        position += size - goes_back
    assert reads_at_once == [1, 1, 0, 0]


def test_a_batch_of_any_size_is_not_guessed_again() -> None:
    file, later = watched(bytes(12_000_000)), Later()
    ahead = ReadAhead(file, later)
    ahead.read_at(0, 5_000_000)
    file.reads.clear()
    later.do_all()
    assert file.reads == []


def test_nothing_is_read_ahead_behind_the_end() -> None:
    file, later = watched(), Later()
    ahead = ReadAhead(file, later)
    ahead.read_at(0, len(CONTENT) - 10)
    later.do_all()
    file.reads.clear()
    assert bytes(ahead.read_at(len(CONTENT) - 10, 10)) == CONTENT[-10:]
    later.do_all()
    assert file.reads == []


def test_a_failure_is_told_to_who_asks_for_what_fails_and_to_nobody_else() -> None:
    file, later = watched(), Later()
    ahead = ReadAhead(file, later)
    ahead.read_at(0, PIECE)
    file.fails = True
    later.do_all()
    with pytest.raises(StorageFailure):
        ahead.read_at(PIECE, PIECE)
    ahead = ReadAhead(file, later)
    file.fails = False
    ahead.read_at(0, PIECE)
    file.fails = True
    later.do_all()
    file.fails = False
    assert bytes(ahead.read_at(PIECE, PIECE)) == CONTENT[PIECE : 2 * PIECE]

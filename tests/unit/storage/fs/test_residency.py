"""Hot and cold pages of a real file, asked in both ways."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage.fs import residency
from storage.fs.residency import is_resident, read_resident

PAGE = os.sysconf("SC_PAGE_SIZE")
SIZE = 4 << 20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is in its page cache")


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    for _ in range(SIZE // PAGE):  # page by page, or the kernel makes folios that it drops only whole
        os.write(opened, os.urandom(PAGE))
    os.fsync(opened)
    if not residency._probe(opened, 0, SIZE):
        pytest.skip("the file system of the temporary directory does not answer RWF_NOWAIT")
    yield opened
    os.close(opened)


@pytest.fixture(params=["cachestat", "probes"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    count = residency._cachestat() if request.param == "cachestat" else residency._unsupported
    monkeypatch.setattr(residency, "count_pages", count)
    return str(request.param)


def drop(descriptor: int, position: int, size: int) -> None:
    os.posix_fadvise(descriptor, position, size, os.POSIX_FADV_DONTNEED)


def until(condition: Callable[[], bool], act: Callable[[], object]) -> None:
    """Do it until the condition holds: the kernel passes over pages that it has in its hands, and may take others."""
    deadline = time.monotonic() + 60
    act()
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
        act()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", [0, 1, PAGE, 100_000, 1 << 20, SIZE])
def test_what_was_written_is_resident(descriptor: int, size: int) -> None:
    assert is_resident(descriptor, 0, size)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("size", [1, PAGE, 100_000, 1 << 20])
def test_what_was_dropped_is_not(descriptor: int, size: int) -> None:
    until(lambda: not is_resident(descriptor, 1 << 20, size), lambda: drop(descriptor, 0, SIZE))
    until(lambda: is_resident(descriptor, 1 << 20, size), lambda: os.pread(descriptor, SIZE, 0))


def test_what_is_resident_is_read_and_nothing_else(descriptor: int) -> None:
    content = os.pread(descriptor, SIZE, 0)
    assert read_resident(descriptor, 1_000_000, 61) == content[1_000_000:1_000_061]
    assert read_resident(descriptor, SIZE - 60, 61) is None  # the file ends before
    until(lambda: read_resident(descriptor, 1_000_000, 61) is None, lambda: drop(descriptor, 0, SIZE))


@pytest.mark.parametrize(
    ("position", "size", "calls"),
    [
        (0, 1, 1),
        (0, PAGE, 1),
        (PAGE + 10, 1024, 1),
        (PAGE - 1, 2, 1),
        (PAGE - 10, 1024, 1),
        (PAGE, 2 * PAGE, 1),
        (PAGE - 1, PAGE + 2, 2),
        (0, 2 * PAGE + 1, 2),
    ],
)
def test_two_pages_that_touch_are_asked_for_at_once(
    descriptor: int, position: int, size: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []
    preadv = os.preadv

    def noted(descriptor: int, buffers: list[bytearray], offset: int, flags: int) -> int:
        asked.append((offset, offset + len(buffers[0]) - 1))
        return preadv(descriptor, buffers, offset, flags)

    monkeypatch.setattr(os, "preadv", noted)
    assert is_resident(descriptor, position, size)
    assert len(asked) == calls
    pages = {place // PAGE for place in (position, position + size - 1)}
    assert {place // PAGE for ends in asked for place in ends} == pages
    assert all(position <= place < position + size for ends in asked for place in ends)


@pytest.mark.parametrize("before", [1, 10, PAGE])
def test_the_second_of_two_pages_is_cold(descriptor: int, before: int) -> None:
    cold = 3 << 20
    until(
        lambda: not is_resident(descriptor, cold - before, before + 1),
        lambda: drop(descriptor, cold, 1 << 20),
    )
    assert is_resident(descriptor, cold - before, before)


@pytest.mark.parametrize("behind", [1, 10, PAGE])
def test_the_first_of_two_pages_is_cold(descriptor: int, behind: int) -> None:
    hot = 3 << 20
    until(lambda: not is_resident(descriptor, hot - 10, 10 + behind), lambda: drop(descriptor, 0, hot))
    assert is_resident(descriptor, hot, behind)


@pytest.mark.usefixtures("way")
def test_a_cold_end_is_seen(descriptor: int) -> None:
    cold = 3 << 20
    until(lambda: not is_resident(descriptor, 0, cold + 1), lambda: drop(descriptor, cold, 1 << 20))
    assert is_resident(descriptor, 0, cold)


def test_a_single_cold_page_is_seen_where_pages_are_counted(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = residency._cachestat()
    if count(descriptor, 0, SIZE) < 0:
        pytest.skip("this kernel has no cachestat")
    monkeypatch.setattr(residency, "count_pages", count)
    drop(descriptor, 1_000_000 // PAGE * PAGE, PAGE)
    if count(descriptor, 0, SIZE) == SIZE // PAGE:
        pytest.skip("the page is part of a larger folio, which the kernel keeps")
    assert not is_resident(descriptor, 5, SIZE - 10)
    assert is_resident(descriptor, 0, 900_000)
    assert is_resident(descriptor, 2_000_000, 1_000_000)


def test_the_system_is_asked_once_whether_it_can_count(
    descriptor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "count_pages", residency._load)
    assert is_resident(descriptor, 0, SIZE)
    assert residency.count_pages is not residency._load

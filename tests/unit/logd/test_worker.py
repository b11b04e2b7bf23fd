"""Worker processes: what they answer, and what ends them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logd import __main__ as entry
from logd.worker import pack_frame
from logd.worker_process import Worker, WorkerDied
from storage.cleaning.cleaner import Cleaner
from storage.cleaning.dirtiness import job_for, look_at
from storage.cleaning.job import CleanedGroup, CleaningJob, CleaningResult
from storage.fs.real import RealFileSystem
from storage.recovery.leftovers import CLEANED_SUFFIX
from tests.support.compaction import CONFIG
from tests.support.logs import NOW_MS, append, flush, make_batch, open_log
from tests.support.patience import PATIENCE_S

NO_LIMIT = 1e300


def dirty_job(directory: Path) -> CleaningJob:
    """A pass over a log of some segments with one key."""
    log, _ = open_log(RealFileSystem(), CONFIG, directory=str(directory))
    for _ in range(30):
        append(log, make_batch(2))
    flush(log)
    found = look_at(log, None, log.log_end_offset, NOW_MS)
    log.release()
    return job_for(log, found, NOW_MS, memory_bytes=1 << 20, load_factor=0.9)


async def talk(job: CleaningJob, bytes_per_second: float = NO_LIMIT) -> list[dict[str, Any]]:
    """What a worker tells, but for its progress, which it tells every second that the machine takes over it."""
    worker = Worker("clean", {**job.to_json(), "bytes_per_second": bytes_per_second})
    async with asyncio.timeout(PATIENCE_S), aclosing(worker.messages()) as messages:
        return [message async for message in messages if "progress" not in message]


def test_a_worker_does_what_is_done_in_line(tmp_path: Path) -> None:
    job = dirty_job(tmp_path / "t-0")
    *groups, last = asyncio.run(talk(job))
    written = {path.name: path.read_bytes() for path in (tmp_path / "t-0").glob(f"*{CLEANED_SUFFIX}")}
    cleaner = Cleaner(RealFileSystem(), job)
    assert list(cleaner.run()) == [CleanedGroup(*message["group"]) for message in groups]
    assert cleaner.result == CleaningResult(*last["result"])
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "t-0").glob(f"*{CLEANED_SUFFIX}")}
    assert len(groups) == 2


def test_damage_is_told_with_its_place(tmp_path: Path) -> None:
    job = dirty_job(tmp_path / "t-0")
    path = tmp_path / "t-0" / f"{job.segments[1].base_offset:020d}.log"
    content = bytearray(path.read_bytes())
    content[100] ^= 1  # in the first batch
    path.write_bytes(content)
    (message,) = asyncio.run(talk(job))
    assert message["corrupt"] == [str(path), 0, "the checksum of a batch does not match"]
    assert not list((tmp_path / "t-0").glob(f"*{CLEANED_SUFFIX}"))


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    job = replace(dirty_job(tmp_path / "t-0"), directory=str(tmp_path / "gone-0"))
    (message,) = asyncio.run(talk(job))
    path, reason, is_fatal = message["failed"]
    assert path.startswith(str(tmp_path / "gone-0"))
    assert (reason, is_fatal) == ("No such file or directory", True)


def test_a_worker_that_is_killed_is_missed(tmp_path: Path) -> None:
    job = dirty_job(tmp_path / "t-0")

    async def main() -> None:
        worker = Worker("clean", {**job.to_json(), "bytes_per_second": 1})

        async def kill() -> None:
            assert await _wait_for(lambda: worker._process is not None and _is_niced(worker._process.pid))
            worker.kill()

        killing = asyncio.create_task(kill())
        async with asyncio.timeout(PATIENCE_S), aclosing(worker.messages()) as messages:
            with pytest.raises(WorkerDied):
                async for _ in messages:
                    pass
        await killing

    asyncio.run(main())


def command(*arguments: str) -> list[str]:
    return [sys.executable, os.path.abspath(entry.__file__), "_worker", *arguments]


def test_a_worker_ends_with_its_input(tmp_path: Path) -> None:
    job = dirty_job(tmp_path / "t-0")
    with subprocess.Popen(command("clean"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(pack_frame({**job.to_json(), "bytes_per_second": 1}))
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="PDEATHSIG is Linux's")
def test_a_worker_dies_with_its_broker(tmp_path: Path) -> None:
    """Even when somebody else holds its input open."""
    reading, writing = os.pipe()
    frame = tmp_path / "frame"
    frame.write_bytes(pack_frame({**dirty_job(tmp_path / "t-0").to_json(), "bytes_per_second": 1}))
    script = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen({command('clean')!r}, stdin={reading}, pass_fds=[{reading}])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, pass_fds=[reading]
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.write(writing, frame.read_bytes())
        deadline = asyncio.run(_wait_for(lambda: _is_niced(pid)))
        assert deadline
        parent.kill()
        parent.wait()
    try:
        assert asyncio.run(_wait_for(lambda: not _is_alive(pid)))
    finally:
        os.close(reading)
        os.close(writing)


async def _wait_for(condition: Any) -> bool:
    for _ in range(PATIENCE_S * 20):
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


def _is_niced(pid: int) -> bool:
    """Whether the worker has begun with its job."""
    return os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: it was gone between opening and reading
        return False


@pytest.mark.parametrize("arguments", [(), ("paint",), ("clean", "more")])
def test_other_kinds_are_refused(arguments: tuple[str, ...]) -> None:
    assert subprocess.run(command(*arguments), stdin=subprocess.DEVNULL, check=False).returncode == 2

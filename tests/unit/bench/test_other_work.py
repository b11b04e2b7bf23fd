"""Goal: what others do counts, and what the bench does itself does not. Method: figures of /proc that are made up, and
this process, which is busy for a while.
"""

from __future__ import annotations

import os
import time

import pytest

from bench import other_work
from bench.other_work import OtherWork


@pytest.mark.parametrize(
    ("all_s", "kernel_s", "cores"), [(24.0, 4.0, 0.5), (21.9, 4.0, 0.0), (23.0, 1.0, 0.5)]
)
def test_what_is_left_of_all_is_others(
    monkeypatch: pytest.MonkeyPatch, all_s: float, kernel_s: float, cores: float
) -> None:
    used = {"all": 10.0, "here": 1.0, "kernel": 3.0}
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(other_work, "_all_s", lambda: used["all"])
    monkeypatch.setattr(other_work, "_kernel_s", lambda: used["kernel"])
    monkeypatch.setattr(other_work, "cpu_seconds", lambda pid: used["here"] if pid == os.getpid() else None)
    others = OtherWork()
    now[0] += 4.0
    used |= {"all": all_s, "here": 12.0, "kernel": kernel_s}
    assert others.cores() == cores


def test_all_of_the_machine_includes_this_process() -> None:
    before, until_s = other_work._all_s(), time.process_time() + 0.2
    while time.process_time() < until_s:
        pass
    assert other_work._all_s() - before >= 0.05


def test_the_kernel_has_worked_or_cannot_be_seen() -> None:
    assert 0.0 <= other_work._kernel_s() < other_work._all_s()

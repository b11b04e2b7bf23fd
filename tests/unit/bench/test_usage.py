"""Goal: what a process used is counted, its children's part, too. Method: a process that waits."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench import usage as usage_module
from bench.cost import COST, cost_since
from bench.usage import Usage, memory_mb, usage


def test_what_a_child_does_counts() -> None:
    """A process of its own: of this one, threads of earlier tests may end meanwhile, and their counts with them."""
    sleeper = "import time; [time.sleep(0.0001) for _ in range(100)]; print(); input()"
    in_a_shell = f"{shlex.join([sys.executable, '-c', sleeper])}; :"  # which alone switches a few times
    command = ["sh", "-c", in_a_shell]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        used = usage(shell.pid)
        shell.communicate(b"\n")
    assert used.context_switches >= 50


def test_waiting_for_a_core_is_the_second_number_of_schedstat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made up: a thread that wakes up on an idle core has waited exactly nothing."""
    (tmp_path / "schedstat").write_text("7000000000 1500000000 42\n")
    assert usage_module._waited_ns(str(tmp_path)) == 1_500_000_000
    monkeypatch.setattr(usage_module, "_waited_ns", lambda thread: 1_500_000_000)
    with subprocess.Popen(["sleep", "60"]) as alone:
        used = usage(alone.pid)
        alone.kill()
    assert used.waited_s == 1.5


def test_nothing_is_used_backwards() -> None:
    assert Usage(1.0, 5, 0.5, 0, 0).since(Usage(2.0, 3, 1.5, 9, 0)) == Usage(0.0, 2, 0.0, 0, 0)


def test_cost_has_every_figure_of_its_table() -> None:
    assert cost_since(os.getpid(), Usage()).keys() == COST.keys()


def test_memory() -> None:
    memory = memory_mb(os.getpid())
    assert 1 < memory["rss_mb"] <= memory["rss_peak_mb"]

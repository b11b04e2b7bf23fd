"""Goal: what a process used is counted, its children's part, too. Method: this process, which uses something."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bench.cost import COST, cost_since
from bench.usage import Usage, memory_mb, usage


def test_waiting_is_a_context_switch() -> None:
    before = usage(os.getpid())
    time.sleep(0.001)
    assert usage(os.getpid()).since(before).context_switches >= 1


def test_children_count() -> None:
    before = usage(os.getpid())
    command = [sys.executable, "-c", "import time; [time.sleep(0.0001) for _ in range(50)]; print(); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        used = usage(os.getpid()).since(before)
        assert used.context_switches >= 50
        assert used.waited_s > 0  # each time it woke up, if only for an instant
        child.communicate(b"\n")


def test_nothing_is_used_backwards() -> None:
    assert Usage(1.0, 5, 0.5, 0, 0).since(Usage(2.0, 3, 1.5, 9, 0)) == Usage(0.0, 2, 0.0, 0, 0)


def test_cost_has_every_figure_of_its_table() -> None:
    assert cost_since(os.getpid(), Usage()).keys() == COST.keys()


def test_memory() -> None:
    memory = memory_mb(os.getpid())
    assert 1 < memory["rss_mb"] <= memory["rss_peak_mb"]

"""Goal: the scenarios that need no Java measure a broker, and every figure of their tables is taken.

Method: the small sizes of --quick on logd and, where they have it, the null broker. No figure is judged.
"""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

from bench.progress_bar import ProgressBar
from bench.scenarios import SCENARIOS
from bench.scenarios.base import Options
from bench.targets.registry import Targets


@pytest.mark.parametrize("name", ["paced", "fan-out-5", "catch-up", "confluent-kafka"])
def test_scenario(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "logd"]
    only = frozenset({"logd", "null"})
    options = Options(rounds=1, quick=True, only=only, directory=tmp_path, logd_command=command)
    targets = Targets(tmp_path, command, {})
    scenario = SCENARIOS[name](options, targets, None, ProgressBar(1, StringIO()))
    samples = scenario.run()
    assert sorted(sample.target for sample in samples) == sorted(scenario.names(options))
    for sample in samples:
        too_few_to_tell = {"p99_us", "p999_us"}  # in so short a run
        assert scenario.metrics.keys() - too_few_to_tell <= sample.metrics.keys()
        assert "p50_us" in sample.metrics or "p50_us" not in scenario.metrics
        assert all(value > 0 for name, value in sample.metrics.items() if name.endswith(("_us", "_per_s")))

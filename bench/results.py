"""Results as JSON files in bench/results/, one per scenario and run."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.scenarios.base import Sample

DIRECTORY = Path(__file__).resolve().parent / "results"


class Result(NamedTuple):
    scenario: str
    taken_at: str
    machine: Mapping[str, object]
    settings: Mapping[str, object]
    samples: Sequence[Sample]

    def values(self, target: str, metric: str) -> list[float]:
        return [
            sample.metrics[metric]
            for sample in self.samples
            if sample.target == target and metric in sample.metrics
        ]

    def ratios(self, target: str, other: str, metric: str) -> list[float]:
        """target / other, round by round; where the other is nothing or less (an excess), there is no ratio."""
        others = self._by_round(other, metric)
        return [
            value / others[round_number]
            for round_number, value in self._by_round(target, metric).items()
            if others.get(round_number, 0) > 0
        ]

    def _by_round(self, target: str, metric: str) -> dict[int, float]:
        return {
            sample.round: sample.metrics[metric]
            for sample in self.samples
            if sample.target == target and metric in sample.metrics
        }

    def targets(self) -> list[str]:
        return list(dict.fromkeys(sample.target for sample in self.samples))


def save(
    scenario: str,
    machine: Mapping[str, object],
    settings: Mapping[str, object],
    samples: Sequence[Sample],
) -> Path:
    DIRECTORY.mkdir(exist_ok=True)
    now = time.gmtime()
    path = DIRECTORY / f"{scenario}-{time.strftime('%Y%m%d-%H%M%S', now)}.json"
    document = {
        "scenario": scenario,
        "taken_at": time.strftime("%Y-%m-%d %H:%M UTC", now),
        "machine": machine,
        "settings": settings,
        "samples": [sample._asdict() for sample in samples],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def load(path: Path) -> Result:
    document = json.loads(path.read_text())
    samples = [Sample(each["round"], each["target"], each["metrics"]) for each in document["samples"]]
    return Result(
        document["scenario"], document["taken_at"], document["machine"], document["settings"], samples
    )


def latest() -> dict[str, Result]:
    """The newest result of each scenario."""
    return {result.scenario: result for result in map(load, sorted(DIRECTORY.glob("*.json")))}


def machine() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    with open("/proc/cpuinfo") as info:
        models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return models[0] if models else platform.machine()

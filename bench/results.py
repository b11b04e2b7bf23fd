"""Results as JSON files, one per scenario and run: fresh ones in bench/results/, those of the page in bench/published/.

Only the latter are under version control: `python -m bench report` puts there what it writes the page from, so that
everybody can take the figures apart.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.metric import Sample
from bench.promise import Promise

_ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = Path(__file__).resolve().parent / "results"
PUBLISHED = Path(__file__).resolve().parent / "published"


class Result(NamedTuple):
    scenario: str
    taken_at: str
    machine: Mapping[str, object]
    settings: Mapping[str, object]
    samples: Sequence[Sample]
    promises: Mapping[str, Promise] = {}

    def values(self, target: str, metric: str) -> list[float]:
        return list(self._by_round(target, metric).values())

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
    promises: Mapping[str, Promise],
) -> Path:
    DIRECTORY.mkdir(exist_ok=True)
    now = time.gmtime()
    path = DIRECTORY / f"{scenario}-{time.strftime('%Y%m%d-%H%M%S', now)}.json"
    document = {
        "scenario": scenario,
        "taken_at": time.strftime("%Y-%m-%d %H:%M UTC", now),
        "machine": machine,
        "settings": settings,
        "promises": {target: promise._asdict() for target, promise in promises.items()},
        "samples": [sample._asdict() for sample in samples],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def load(path: Path) -> Result:
    document = json.loads(path.read_text())
    samples = [Sample(each["round"], each["target"], each["metrics"]) for each in document["samples"]]
    promises = {target: Promise(**each) for target, each in document.get("promises", {}).items()}
    return Result(
        document["scenario"],
        document["taken_at"],
        document["machine"],
        document["settings"],
        samples,
        promises,
    )


def latest() -> dict[str, Result]:
    """The newest full result of each scenario, fresh or published; none of logd with other settings than its own."""
    return {scenario: load(path) for scenario, path in _latest_paths().items()}


def publish() -> None:
    """Let the newest full result of each scenario be the published one."""
    PUBLISHED.mkdir(exist_ok=True)
    for scenario, path in _latest_paths().items():
        if path.parent == DIRECTORY:
            shutil.copyfile(path, PUBLISHED / f"{scenario}.json")


def machine() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "python": platform.python_version(),
        "logd": _commit(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _latest_paths() -> dict[str, Path]:
    found: dict[str, tuple[str, Path]] = {}
    for path in (*PUBLISHED.glob("*.json"), *DIRECTORY.glob("*.json")):
        result = load(path)
        if not (result.settings.get("quick") or result.settings.get("logd_properties")):
            rank = result.taken_at, path
            found[result.scenario] = max(found.get(result.scenario, rank), rank)
    return {scenario: path for scenario, (_, path) in sorted(found.items())}


def _commit() -> str:
    """Which logd this is; with `-dirty` where the checkout has been changed since."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not from a checkout"


def _cpu_model() -> str:
    with open("/proc/cpuinfo") as info:
        models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return models[0] if models else platform.machine()

"""Results as JSON files, one per scenario and run: fresh ones in bench/results/, those of the page in bench/published/.

Only the latter are under version control: `python -m bench report` puts there what it writes the page from, so that
everybody can take the figures apart. Which those are is said in page/publication.py.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.metric import Sample
from bench.targets.promise import Promise
from bench.targets.registry import ROOT

DIRECTORY = ROOT / "bench" / "results"
PUBLISHED = ROOT / "bench" / "published"
OF_A_RUN = ("load_before", "other_cores")
"""What is told of a machine and is not its own: the load average when a scenario began, which is the bench's own where
another scenario went before, and how many cores others kept busy, the median of its rounds (other_work.py).
"""


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


def _commit() -> str:
    """Which logd this is; with `-dirty` where its code has been changed since."""
    try:
        changed = _git("status", "--porcelain", "--", ":!docs", ":!bench/published")
        return _git("describe", "--always") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not from a checkout"


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_model() -> str:
    with open("/proc/cpuinfo") as info:
        models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return models[0] if models else platform.machine()

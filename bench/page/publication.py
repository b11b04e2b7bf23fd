"""Which results docs/BENCHMARKS.md is written from: complete ones, and those that a person names.

A result is complete that was taken at full size, on a machine with little else to do, with five rounds of logd as it
comes from a commit and of every target that the scenario compares it with. So an experiment with a property, or a run
of two targets, never takes the place of a measurement by being newer. What is compared with nothing (our own variants;
a peer that few have) may be missing from a run: the page names it.

    python -m bench report                      what is complete and newer than what is published
    python -m bench report bench/results/X.json and this file in any case; the page then says what it lacks
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import results
from bench.results import Result
from bench.scenarios import SCENARIOS

ROUNDS_MIN = 5
OTHER_CORES_MAX = 0.5
"""What others may keep busy: more than a quiet machine's services take, less than a build."""
_ALWAYS = ("logd", "echo")


class Publication(NamedTuple):
    paths: Mapping[str, Path]
    """The file of each scenario; what is published already stays until something complete is newer."""
    left_out: Mapping[Path, str]
    """Files that would have been the newest of their scenario, and why they are not published."""

    def results(self) -> dict[str, Result]:
        return {scenario: results.load(path) for scenario, path in self.paths.items()}

    def copy(self) -> None:
        """Put the files where they are under version control."""
        results.PUBLISHED.mkdir(exist_ok=True)
        for scenario, path in self.paths.items():
            if path.parent != results.PUBLISHED:
                shutil.copyfile(path, results.PUBLISHED / f"{scenario}.json")


def choose(named: Sequence[Path] = ()) -> Publication:
    """`named` are published whatever they lack. Raises: OSError, KeyError, ValueError for what is no result."""
    chosen = {result.scenario: (result.taken_at, path) for path, result in _load(results.PUBLISHED)}
    fresh = sorted(_load(results.DIRECTORY), key=lambda each: (each[1].taken_at, each[0]))
    left_out = {}
    for path, result in fresh:
        if result.taken_at > chosen.get(result.scenario, ("", path))[0]:
            if lacking := lacks(result):
                left_out[path] = lacking
            else:
                chosen[result.scenario] = result.taken_at, path
    for path in named:
        result = results.load(path)
        chosen[result.scenario] = result.taken_at, path.resolve()
    paths = {scenario: path for scenario, (_, path) in chosen.items()}
    standing = {path.resolve() for path in named}
    return Publication(paths, {path: why for path, why in left_out.items() if path.resolve() not in standing})


def lacks(result: Result) -> str:
    """What a reader would not expect of a measurement, in a few words; empty where it is complete."""
    settings, found = result.settings, []
    if settings.get("quick"):
        found.append("a quick run")
    if properties := settings.get("logd_properties"):
        found.append(f"logd with {properties}")
    if command := settings.get("logd_command"):
        found.append(f"logd started by {command}")
    if settings.get("cold_memory"):
        found.append("with --cold-memory")
    commit = str(result.machine.get("logd", ""))
    if not commit or " " in commit or commit.endswith("-dirty"):
        found.append("of code that is no commit")
    other_cores = result.machine.get("other_cores", 0.0)
    if isinstance(other_cores, float) and other_cores > OTHER_CORES_MAX:
        found.append(f"beside other work on {other_cores:g} cores")
    measured = result.targets()
    if absent := [name for name in _needed(result.scenario) if name not in measured]:
        found.append(f"without {', '.join(absent)}")
    rounds = min((len(_rounds(result, name)) for name in measured), default=0)
    if rounds < ROUNDS_MIN:
        found.append(f"{rounds} of {ROUNDS_MIN} rounds")
    return ", ".join(found)


def _needed(scenario: str) -> list[str]:
    """The targets without which a comparison of the scenario would have nothing to compare."""
    compared = {other for metric in SCENARIOS[scenario].metrics.values() for other in metric.against}
    return [name for name in SCENARIOS[scenario].targets if name in compared or name in _ALWAYS]


def _rounds(result: Result, target: str) -> set[int]:
    return {sample.round for sample in result.samples if sample.target == target}


def _load(directory: Path) -> list[tuple[Path, Result]]:
    """Results of scenarios that there are."""
    loaded = [(path, results.load(path)) for path in sorted(directory.glob("*.json"))]
    return [(path, result) for path, result in loaded if result.scenario in SCENARIOS]

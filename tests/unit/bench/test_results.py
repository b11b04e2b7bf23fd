"""Goal: what was measured comes back as it was. Method: a directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import results
from bench.metric import Sample
from bench.targets.promise import Promise

SAMPLES = [Sample(1, "logd", {"cpu_s_per_gb": 1.5}), Sample(1, "kafka", {"cpu_s_per_gb": 3.0})]
PROMISES = {"logd": Promise("written", "validation=header")}


@pytest.fixture(autouse=True)
def _directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DIRECTORY", tmp_path / "results")


def _save(scenario: str = "S1", **settings: object) -> Path:
    return results.save(scenario, {"cores": 2}, {"quick": False, **settings}, SAMPLES, PROMISES)


def test_results_come_back_from_disk() -> None:
    result = results.load(_save())
    assert (result.scenario, result.machine, result.settings) == ("S1", {"cores": 2}, {"quick": False})
    assert (result.samples, result.promises) == (SAMPLES, PROMISES)


def test_results_from_before_promises_were_kept_are_read() -> None:
    path = _save()
    path.write_text(path.read_text().replace('"promises"', '"others"'))
    assert results.load(path).promises == {}

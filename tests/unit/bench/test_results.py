"""Goal: what was measured comes back as it was, and only full runs are published. Method: directories of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import results
from bench.metric import Sample
from bench.promise import Promise

SAMPLES = [Sample(1, "logd", {"cpu_s_per_gb": 1.5}), Sample(1, "kafka", {"cpu_s_per_gb": 3.0})]
PROMISES = {"logd": Promise("written", "validation=header")}


@pytest.fixture(autouse=True)
def _directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DIRECTORY", tmp_path / "results")
    monkeypatch.setattr(results, "PUBLISHED", tmp_path / "published")


def _save(scenario: str = "S1", **settings: object) -> Path:
    return results.save(scenario, {"cores": 2}, {"quick": False, **settings}, SAMPLES, PROMISES)


def test_results_come_back_from_disk() -> None:
    result = results.load(_save())
    assert (result.scenario, result.machine, result.settings) == ("S1", {"cores": 2}, {"quick": False})
    assert (result.samples, result.promises) == (SAMPLES, PROMISES)
    assert results.latest() == {"S1": result}


def test_results_from_before_promises_were_kept_are_read() -> None:
    path = _save()
    path.write_text(path.read_text().replace('"promises"', '"others"'))
    assert results.load(path).promises == {}


def test_the_newest_full_run_is_the_published_one() -> None:
    _save("S1")
    _save("S3", quick=True)
    _save("S4", logd_properties={"socket.send.buffer.bytes": "655360"})
    results.publish()
    assert [path.name for path in results.PUBLISHED.iterdir()] == ["S1.json"]
    for path in results.DIRECTORY.iterdir():
        path.unlink()
    assert [*results.latest()] == ["S1"]
    newer = _save("S1")
    newer.write_text(newer.read_text().replace('"taken_at": "2', '"taken_at": "9').replace("1.5", "2.5"))
    assert results.latest()["S1"].values("logd", "cpu_s_per_gb") == [2.5]

"""Goal: only what is complete replaces what is published, and who names a file gets it. Method: files made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import results
from bench.metric import Sample
from bench.page import report
from bench.page.publication import ROUNDS_MIN, choose, lacks
from bench.results import Result

NEEDED = ("kafka", "logd", "null", "floor")


@pytest.fixture(autouse=True)
def _directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DIRECTORY", tmp_path / "results")
    monkeypatch.setattr(results, "PUBLISHED", tmp_path / "published")


def _result(targets: tuple[str, ...] = NEEDED, rounds: int = ROUNDS_MIN, **settings: Any) -> Result:
    samples = [
        Sample(number, target, {"cpu_s_per_gb": 1.0}) for number in range(1, rounds + 1) for target in targets
    ]
    return Result("S1", "2026-11-30 12:00 UTC", {"logd": "abc1234"}, {"quick": False, **settings}, samples)


def _save(result: Result, taken_at: str) -> Path:
    path = results.save(result.scenario, result.machine, result.settings, result.samples, {})
    text = path.read_text().replace(results.load(path).taken_at, taken_at)
    named = path.with_name(f"{result.scenario}-{taken_at}.json")
    path.rename(named)
    named.write_text(text)
    return named


def test_what_is_needed_for_the_comparisons_is_enough() -> None:
    assert lacks(_result()) == ""
    assert lacks(_result((*NEEDED, "logd-full"))) == ""
    assert (
        lacks(_result()._replace(machine={"logd": "abc1234", "load_before": 9.9, "other_cores": 0.1})) == ""
    )


@pytest.mark.parametrize(
    ("result", "lacking"),
    [
        (_result(quick=True), "a quick run"),
        (_result(logd_properties={"a": "b"}), "logd with {'a': 'b'}"),
        (_result(logd_command="other/bin/logd"), "logd started by other/bin/logd"),
        (_result(cold_memory=True), "with --cold-memory"),
        (_result(("logd", "floor")), "without kafka, null"),
        (_result(rounds=4), "4 of 5 rounds"),
        (_result(rounds=0), "without kafka, null, floor, logd, 0 of 5 rounds"),
        (_result()._replace(machine={"logd": "abc1234-dirty"}), "of code that is no commit"),
        (
            _result()._replace(machine={"logd": "abc1234", "other_cores": 0.75}),
            "beside other work on 0.75 cores",
        ),
    ],
)
def test_what_is_not_complete_says_what_it_lacks(result: Result, lacking: str) -> None:
    assert sorted(lacks(result).split(", ")) == sorted(lacking.split(", "))


def test_one_target_of_fewer_rounds_is_noticed() -> None:
    result = _result()
    assert lacks(result._replace(samples=result.samples[:-1])) == "4 of 5 rounds"


def test_an_experiment_does_not_replace_a_measurement_by_being_newer() -> None:
    complete = _save(_result(), "2026-11-01")
    experiment = _save(_result(logd_properties={"a": "b"}), "2026-11-02")
    chosen = choose()
    assert chosen.paths == {"S1": complete}
    assert chosen.left_out == {experiment: "logd with {'a': 'b'}"}
    chosen.copy()
    assert [path.name for path in results.PUBLISHED.iterdir()] == ["S1.json"]


def test_what_is_published_stays_until_something_complete_is_newer() -> None:
    exception = _save(_result(rounds=4), "2026-11-02")
    choose([exception]).copy()
    older, published = _save(_result(), "2026-11-01"), results.PUBLISHED / "S1.json"
    assert choose().paths == {"S1": published}
    assert choose([older]).paths == {"S1": older}
    newer = _save(_result(), "2026-11-03")
    assert choose().paths == {"S1": newer}
    assert choose().left_out == {}


def test_the_command_names_what_it_leaves_out_and_takes_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "BENCHMARKS.md"
    page.write_text("# Benchmarks\n")
    short = _save(_result(rounds=3), "2026-11-02")
    assert command.main(["report"]) == 0
    assert "left out S1-2026-11-02.json: 3 of 5 rounds" in capsys.readouterr().out
    assert "## S1:" not in page.read_text()
    assert command.main(["report", str(short)]) == 0
    assert "left out" not in capsys.readouterr().out
    assert "**Not for publication by itself: 3 of 5 rounds.**" in page.read_text()
    assert results.load(results.PUBLISHED / "S1.json").samples == results.load(short).samples

"""Figures become tables and verdicts: medians, ranges, ratios within a round."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import report, results
from bench.chart import ratio_chart
from bench.goals import GOALS, Goal
from bench.processes import cpu_seconds, memory_mb, percentile, spread
from bench.results import Result
from bench.scenarios import SCENARIOS
from bench.scenarios.base import Sample

SAMPLES = [
    Sample(1, "kafka", {"cpu_s_per_gb": 2.0, "records_per_s": 100_000.0}),
    Sample(1, "logd", {"cpu_s_per_gb": 1.0, "records_per_s": 120_000.0}),
    Sample(2, "logd", {"cpu_s_per_gb": 3.0, "records_per_s": 90_000.0}),
    Sample(2, "kafka", {"cpu_s_per_gb": 10.0, "records_per_s": 50_000.0}),
    Sample(3, "logd", {"cpu_s_per_gb": 9.0, "records_per_s": 90_000.0}),
]
RESULT = Result("S1", "2026-11-20 12:00 UTC", {"cores": 2}, {"quick": False}, SAMPLES)


def test_ratios_are_taken_within_a_round() -> None:
    assert RESULT.ratios("logd", "kafka", "cpu_s_per_gb") == [0.5, pytest.approx(0.3)]


def test_no_ratio_to_nothing() -> None:
    samples = [Sample(1, "kafka", {"x": -1.0}), Sample(1, "logd", {"x": 2.0})]
    assert RESULT._replace(samples=samples).ratios("logd", "kafka", "x") == []


def test_table_has_medians_ranges_and_ratios() -> None:
    assert report.table(RESULT).splitlines() == [
        "| target | broker CPU, s/GB | rate, records/s |",
        "|---|---|---|",
        "| kafka | 6.00 [2.00–10.00] | 75,000 [50,000–100,000] |",
        "| logd | 3.00 [1.00–9.00] | 90,000 [90,000–120,000] |",
        "| logd / kafka | 0.40 × [0.30–0.50] | 1.50 × [1.20–1.80] |",
    ]


@pytest.mark.parametrize(
    ("median", "verdict"), [(0.35, "goal"), (0.351, "pass"), (0.5, "pass"), (0.51, "not met")]
)
def test_verdict_at_most(median: float, verdict: str) -> None:
    assert Goal("", "S1", "cpu_s_per_gb", "kafka", True, 0.5, 0.35).verdict(median) == verdict


@pytest.mark.parametrize(("median", "verdict"), [(0.95, "goal"), (0.85, "pass"), (0.84, "not met")])
def test_verdict_at_least(median: float, verdict: str) -> None:
    assert Goal("", "S1", "records_per_s", "null", False, 0.85, 0.95).verdict(median) == verdict


def test_every_goal_names_a_figure_that_its_scenario_takes() -> None:
    for goal in GOALS:
        scenario = SCENARIOS[goal.scenario]
        assert goal.metric in scenario.metrics
        assert not goal.against or goal.against in scenario.targets


def test_results_come_back_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DIRECTORY", tmp_path / "results")
    path = results.save("S1", {"cores": 2}, {"quick": False}, SAMPLES)
    assert results.load(path)._replace(taken_at=RESULT.taken_at) == RESULT
    assert results.latest()["S1"].samples == SAMPLES


def test_page_and_chart_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(report, "CHART", tmp_path / "chart.svg")
    monkeypatch.setattr(results, "latest", lambda: {"S1": RESULT})
    page, chart = report.write()
    assert (
        "| S1 produce, 128 KB batches: CPU per GB | ≤ 0.5; ≤ 0.35 × kafka | 0.40 × [0.30–0.50] | pass |"
        in (page.read_text())
    )
    assert "0.40 ×" in chart.read_text()


def test_what_was_not_measured_here_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "DOCS", tmp_path)
    monkeypatch.setattr(report, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(report, "CHART", tmp_path / "chart.svg")
    other = RESULT._replace(scenario="S3", samples=[*SAMPLES[:2]])
    monkeypatch.setattr(results, "latest", lambda: {"S1": RESULT, "S3": other})
    page, chart = report.write()
    both = page.read_text(), chart.read_text()
    monkeypatch.setattr(results, "latest", lambda: {"S3": other})
    report.write()
    assert (page.read_text(), chart.read_text()) == both


def test_chart_escapes_its_labels() -> None:
    assert "a &lt; b" in ratio_chart("a < b", [("c & d", (0.5, 0.4, 0.6), 0.5)])


def test_percentile_and_spread() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert spread([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


def test_this_process_has_used_time_and_memory() -> None:
    import os  # noqa: PLC0415

    assert cpu_seconds(os.getpid()) > 0
    memory = memory_mb(os.getpid())
    assert 1 < memory["rss_mb"] <= memory["rss_peak_mb"]

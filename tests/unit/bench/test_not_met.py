"""Goal: what is not met is told with its distance and the floor's share, computed. Method: results of few samples."""

from __future__ import annotations

from bench.metric import Sample
from bench.page import ceiling, not_met
from bench.page.goal import Direction
from bench.page.goals import GOALS
from bench.page.written_page import WrittenPage
from bench.results import Result

NOTHING = WrittenPage("")


def _result(scenario: str, **by_target: dict[str, float]) -> dict[str, Result]:
    samples = [Sample(1, target, metrics) for target, metrics in by_target.items()]
    return {scenario: Result(scenario, "", {}, {}, samples)}


def test_every_goal_has_something_to_come_next() -> None:
    for goal in GOALS:
        figures = {
            goal.target: {goal.metric: 1e9 if goal.direction is Direction.AT_MOST else 1e-9},
            goal.against: {goal.metric: 1.0},
        }
        assert goal.label in not_met.table(_result(goal.scenario, **figures), NOTHING)


def test_distance_and_share_of_a_cost() -> None:
    found = _result("S4", logd={"cpu_s_per_million": 0.6}, kafka={"cpu_s_per_million": 1.0},
                    floor={"cpu_s_per_million": 0.15})  # fmt: skip
    (row,) = not_met.table(found, NOTHING).splitlines()[2:]
    assert row.startswith(
        "| S4 produce, 100 B records: CPU per 1 M | ≤ 0.3; ≤ 0.2 × kafka | 0.60 × | 100% above | "
        "25% [25%–25%] of the cost | "
    )


def test_distance_and_share_of_a_rate() -> None:
    rates = {"logd": 500.0, "null": 1000.0, "floor": 800.0}
    found = _result("S1", **{target: {"records_per_s": rate} for target, rate in rates.items()})
    (row,) = not_met.table(found, NOTHING).splitlines()[2:]
    assert "| 0.50 × | 41% below | 0.80 × [0.80–0.80] by the floor itself |" in row


def test_what_only_the_page_knows_is_told_from_there() -> None:
    page = WrittenPage("| S9 resident after 10 GB, MB | ≤ 64 | 80.00 [70.00–90.00] | not met |\n")
    (row,) = not_met.table({}, page).splitlines()[2:]
    assert "| 80.00 | 25% above | not known: no result of it is kept |" in row


def test_all_met() -> None:
    assert (
        not_met.table(_result("S9", logd={"rss_mb": 30.0}), NOTHING) == "Every goal that was measured is met."
    )


def test_ceiling_of_a_core() -> None:
    found = _result("S1", logd={"cpu_s_per_gb": 2.0}, kafka={"cpu_s_per_gb": 4.0})
    found |= _result("S7", logd={"requests_per_cpu_s": 30_000.0})
    assert ceiling.table(found).splitlines()[2:] == [
        "| produce, 128 KB batches, GB/s | 0.50 [0.50–0.50] |  | 0.25 [0.25–0.25] |  |",
        "| requests of one record, requests/s | 30,000 [30,000–30,000] |  |  |  |",
    ]
    assert ceiling.table({}) == ""

"""The lines that the project wants to reach. Where only `passed` is named, that is the goal as well."""

from __future__ import annotations

from functools import partial

from bench.page.goal import Direction, Goal


def _goal(
    direction: Direction,
    label: str,
    scenario: str,
    metric: str,
    *,
    passed: float,
    goal: float | None = None,
    against: str = "",
    target: str = "logd",
) -> Goal:
    return Goal(
        label=label,
        scenario=scenario,
        metric=metric,
        against=against,
        direction=direction,
        passed=passed,
        goal=passed if goal is None else goal,
        target=target,
    )


at_most = partial(_goal, Direction.AT_MOST)
at_least = partial(_goal, Direction.AT_LEAST)

GOALS: tuple[Goal, ...] = (
    at_most(
        "S1 produce, 128 KB batches: CPU per GB", "S1", "cpu_s_per_gb", against="kafka", passed=0.5, goal=0.35
    ),
    at_least(
        "S2 produce, 128 KB batches: rate", "S1", "records_per_s", against="null", passed=0.85, goal=0.95
    ),
    at_least("S2 produce, 128 KB batches: rate", "S1", "records_per_s", against="kafka", passed=1),
    at_most(
        "S3 produce, 16 KB batches: CPU per GB", "S3", "cpu_s_per_gb", against="kafka", passed=0.5, goal=0.35
    ),
    at_least(
        "S3 produce, 16 KB batches: rate", "S3", "records_per_s", against="null", passed=0.85, goal=0.95
    ),
    at_least("S3 produce, 16 KB batches: rate", "S3", "records_per_s", against="kafka", passed=1),
    at_most(
        "S4 produce, 100 B records: CPU per 1 M",
        "S4",
        "cpu_s_per_million",
        against="kafka",
        passed=0.3,
        goal=0.2,
    ),
    at_least(
        "S4 produce, 100 B records: rate", "S4", "records_per_s", against="null", passed=0.85, goal=0.95
    ),
    at_least("S4 produce, 100 B records: rate", "S4", "records_per_s", against="kafka", passed=1),
    at_most(
        "S5 synchronous produce: p50 above the echo",
        "S5",
        "p50_excess_us",
        against="kafka",
        passed=0.5,
        goal=0.35,
    ),
    at_most(
        "S5 synchronous produce: p99 above the echo",
        "S5",
        "p99_excess_us",
        against="kafka",
        passed=0.5,
        goal=0.35,
    ),
    at_most("S6 consume from cache: CPU per GB", "S6", "cpu_s_per_gb", against="floor", passed=1.2),
    at_most("S6 consume from cache: CPU per GB", "S6", "cpu_s_per_gb", against="kafka", passed=0.6),
    at_most("S6 end to end at 10 % load: p50", "S6L", "p50_us", against="kafka", passed=1),
    at_most("S6 end to end at 10 % load: p99", "S6L", "p99_us", against="kafka", passed=1),
    at_least("S7 requests of one record: rate", "S7", "requests_per_s", against="kafka", passed=1),
    at_least(
        "S7 requests of one record for a second of CPU",
        "S7",
        "requests_per_cpu_s",
        against="kafka",
        passed=2.5,
    ),
    at_most("S8 start to first acknowledgement, s", "S8", "first_ack_s", passed=0.2),
    at_most("S8 resident when idle, MB", "S8", "rss_mb", passed=40),
    at_most("S9 resident after 10 GB, MB", "S9", "rss_mb", passed=64),
    at_most("S10 consumer to first record, ms", "S10", "classic_known_ms", passed=150),
    at_most("S10 consumer in a new group to first record, ms", "S10", "classic_new_ms", passed=150),
    at_most(
        "S10 consumer in a new group to first record", "S10", "classic_new_ms", against="kafka", passed=1
    ),
    at_most("S11 memory of an idle connection, KB", "S11", "kb_each", passed=10),
    at_most("S11 p99 beside 5,000 of them, times alone", "S11", "p99_ratio", passed=1.1),
    at_most("S12 rate lost to transactions, %", "S12", "lost_percent", passed=3),
    at_least("S14 compaction, 1 KB records: rate", "S14", "mb_per_s", against="kafka", passed=1),
    at_least(
        "S14 compaction, 1 KB records, compiled: rate",
        "S14",
        "mb_per_s",
        against="kafka",
        passed=1,
        target="compiled",
    ),
    at_most("S14 produce p99 meanwhile, times idle", "S14", "p99_ratio", passed=2),
    at_least("S14 compaction, 100 B records: rate", "S14S", "mb_per_s", against="kafka", passed=0.5, goal=1),
    at_least(
        "S14 compaction, 100 B records, compiled: rate",
        "S14S",
        "mb_per_s",
        against="kafka",
        passed=0.5,
        goal=1,
        target="compiled",
    ),
    at_most("S16 produce p99 while 10 GB are read cold, times idle", "S16", "p99_ratio", passed=2),
    at_least("S17 order services: orders a second", "S17", "orders_per_s", passed=300),
    at_most("S17 POST to verdict at 50 a second: p50, ms", "S17", "p50_ms", passed=400, goal=200),
    at_most("S17 POST to verdict at 50 a second: p99, ms", "S17", "p99_ms", passed=800, goal=500),
)

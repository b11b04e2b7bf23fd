"""The lines that the project wants to reach: `passed` must be reached, `goal` is where it is going."""

from __future__ import annotations

from typing import NamedTuple

from bench.results import Result


class Goal(NamedTuple):
    """One figure of `target`, alone (`against` empty) or as a ratio to another target's in the same round."""

    label: str
    scenario: str
    metric: str
    against: str
    at_most: bool
    passed: float
    goal: float
    target: str = "logd"

    def values(self, result: Result) -> list[float]:
        if self.against:
            return result.ratios(self.target, self.against, self.metric)
        return result.values(self.target, self.metric)

    def verdict(self, median: float) -> str:
        if self._holds(median, self.goal):
            return "goal"
        return "pass" if self._holds(median, self.passed) else "not met"

    def line(self) -> str:
        sign = "≤" if self.at_most else "≥"
        factor = f" × {self.against}" if self.against else ""
        if self.passed == self.goal:
            return f"{sign} {self.goal:g}{factor}"
        return f"{sign} {self.passed:g}; {sign} {self.goal:g}{factor}"

    def _holds(self, value: float, line: float) -> bool:
        return value <= line if self.at_most else value >= line


GOALS: tuple[Goal, ...] = (
    Goal("S1 produce, 128 KB batches: CPU per GB", "S1", "cpu_s_per_gb", "kafka", True, 0.5, 0.35),
    Goal("S2 produce, 128 KB batches: rate", "S1", "records_per_s", "null", False, 0.85, 0.95),
    Goal("S2 produce, 128 KB batches: rate", "S1", "records_per_s", "kafka", False, 1, 1),
    Goal("S3 produce, 16 KB batches: CPU per GB", "S3", "cpu_s_per_gb", "kafka", True, 0.5, 0.35),
    Goal("S3 produce, 16 KB batches: rate", "S3", "records_per_s", "null", False, 0.85, 0.95),
    Goal("S3 produce, 16 KB batches: rate", "S3", "records_per_s", "kafka", False, 1, 1),
    Goal("S4 produce, 100 B records: CPU per 1 M", "S4", "cpu_s_per_million", "kafka", True, 0.3, 0.2),
    Goal("S4 produce, 100 B records: rate", "S4", "records_per_s", "null", False, 0.85, 0.95),
    Goal("S4 produce, 100 B records: rate", "S4", "records_per_s", "kafka", False, 1, 1),
    Goal("S5 synchronous produce: p50 above the echo", "S5", "p50_excess_us", "kafka", True, 0.5, 0.35),
    Goal("S5 synchronous produce: p99 above the echo", "S5", "p99_excess_us", "kafka", True, 0.5, 0.35),
    Goal("S6 consume from cache: CPU per GB", "S6", "cpu_s_per_gb", "floor", True, 1.2, 1.2),
    Goal("S6 consume from cache: CPU per GB", "S6", "cpu_s_per_gb", "kafka", True, 0.6, 0.6),
    Goal("S6 end to end at 10 % load: p50", "S6L", "p50_us", "kafka", True, 1, 1),
    Goal("S6 end to end at 10 % load: p99", "S6L", "p99_us", "kafka", True, 1, 1),
    Goal("S7 requests of one record: rate", "S7", "requests_per_s", "kafka", False, 1, 1),
    Goal(
        "S7 requests of one record for a second of CPU", "S7", "requests_per_cpu_s", "kafka", False, 2.5, 2.5
    ),
    Goal("S8 start to first acknowledgement, s", "S8", "first_ack_s", "", True, 0.2, 0.2),
    Goal("S8 resident when idle, MB", "S8", "rss_mb", "", True, 40, 40),
    Goal("S9 resident after 10 GB, MB", "S9", "rss_mb", "", True, 64, 64),
    Goal("S10 consumer to first record, ms", "S10", "classic_known_ms", "", True, 150, 150),
    Goal("S10 consumer in a new group to first record, ms", "S10", "classic_new_ms", "", True, 150, 150),
    Goal("S10 consumer in a new group to first record", "S10", "classic_new_ms", "kafka", True, 1, 1),
    Goal("S11 memory of an idle connection, KB", "S11", "kb_each", "", True, 10, 10),
    Goal("S11 p99 beside 5,000 of them, times alone", "S11", "p99_ratio", "", True, 1.1, 1.1),
    Goal("S12 rate lost to transactions, %", "S12", "lost_percent", "", True, 3, 3),
    Goal("S14 compaction, 1 KB records: rate", "S14", "mb_per_s", "kafka", False, 1, 1),
    Goal("S14 compaction, 1 KB records, compiled: rate", "S14", "mb_per_s", "kafka", False, 1, 1, "compiled"),
    Goal("S14 produce p99 meanwhile, times idle", "S14", "p99_ratio", "", True, 2, 2),
    Goal("S14 compaction, 100 B records: rate", "S14S", "mb_per_s", "kafka", False, 0.5, 1),
    Goal(
        "S14 compaction, 100 B records, compiled: rate",
        "S14S",
        "mb_per_s",
        "kafka",
        False,
        0.5,
        1,
        "compiled",
    ),
    Goal("S16 produce p99 while 10 GB are read cold, times idle", "S16", "p99_ratio", "", True, 2, 2),
    Goal("S17 order services: orders a second", "S17", "orders_per_s", "", False, 300, 300),
    Goal("S17 POST to verdict at 50 a second: p50, ms", "S17", "p50_ms", "", True, 400, 200),
    Goal("S17 POST to verdict at 50 a second: p99, ms", "S17", "p99_ms", "", True, 800, 500),
)

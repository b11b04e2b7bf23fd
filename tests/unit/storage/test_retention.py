"""Which segments go: Kafka's three reasons, and what holds a segment back."""

from __future__ import annotations

from typing import Any

from storage.config import LogConfig
from storage.retention import SegmentFacts, count_expired

NOW = 1_000_000


def segments(*sizes: int, timestamps: list[int] | None = None) -> list[SegmentFacts]:
    """Segments of ten offsets each; the last is active."""
    times = timestamps or [NOW] * len(sizes)
    return [
        SegmentFacts(10 * (i + 1), size, time, i == len(sizes) - 1)
        for i, (size, time) in enumerate(zip(sizes, times, strict=True))
    ]


def count(facts: list[SegmentFacts], start: int = 0, high_watermark: int = 10**9, **config: Any) -> int:
    return count_expired(
        facts,
        LogConfig(**({"retention_ms": -1} | config)),
        now_ms=NOW,
        log_start_offset=start,
        high_watermark=high_watermark,
    )


def test_nothing_expires_without_limits() -> None:
    assert count(segments(100, 100, 100)) == 0


def test_size_keeps_at_least_the_bytes_asked_for() -> None:
    assert count(segments(100, 100, 100), retention_bytes=300) == 0
    assert count(segments(100, 100, 100), retention_bytes=201) == 0
    assert count(segments(100, 100, 100), retention_bytes=200) == 1
    assert count(segments(100, 100, 100), retention_bytes=100) == 2


def test_size_zero_takes_the_active_segment_too() -> None:
    assert count(segments(100, 100, 100), retention_bytes=0) == 3


def test_time_counts_from_the_largest_timestamp() -> None:
    old, new = NOW - 1001, NOW - 1000
    assert count(segments(1, 1, 1, timestamps=[old, new, new]), retention_ms=1000) == 1
    assert count(segments(1, 1, 1, timestamps=[old, old, new]), retention_ms=1000) == 2
    assert count(segments(1, 1, 1, timestamps=[old, old, old]), retention_ms=1000) == 3


def test_time_stops_at_the_first_segment_that_is_young() -> None:
    old = NOW - 5000
    assert count(segments(1, 1, 1, timestamps=[NOW, old, old]), retention_ms=1000) == 0


def test_an_empty_active_segment_stays() -> None:
    assert count(segments(1, 0, timestamps=[0, 0]), retention_ms=1000) == 1


def test_nothing_above_the_high_watermark_goes() -> None:
    assert count(segments(1, 1, 1), retention_bytes=0, high_watermark=20) == 2
    assert count(segments(1, 1, 1), retention_bytes=0, high_watermark=19) == 1
    assert count(segments(1, 1, 1), retention_bytes=0, high_watermark=0) == 0


def test_segments_below_the_log_start_go_whatever_the_policy() -> None:
    compact = frozenset({"compact"})
    assert count(segments(1, 1, 1), start=20, cleanup_policy=compact) == 2
    assert count(segments(1, 1, 1), start=19, cleanup_policy=compact) == 1
    assert count(segments(1, 1, 1), start=30, cleanup_policy=compact) == 2, "never the active one"


def test_other_reasons_need_the_delete_policy() -> None:
    old = [0, 0, 0]
    both = frozenset({"compact", "delete"})
    assert count(segments(1, 1, 1, timestamps=old), retention_ms=1, cleanup_policy=both) == 3
    assert (
        count(segments(1, 1, 1, timestamps=old), retention_ms=1, cleanup_policy=frozenset({"compact"})) == 0
    )


def test_reasons_add_up() -> None:
    facts = segments(100, 100, 100, 100, timestamps=[NOW, NOW, 0, NOW])
    assert count(facts, start=10, retention_bytes=200, retention_ms=1000) == 3

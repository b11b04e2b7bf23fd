"""Goal: a pattern finds what Kafka's would; none may cost much, whoever sends it.

Method: patterns by hand; hostile ones in a process of their own, whose memory and time are measured.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from coordinator.assignors.regex import matching, validate
from protocol.errors import BrokerError, ErrorCode
from tests.support.broker import ROOT, clean_environment

NAMES = ["orders", "orders-1", "orders.eu", "my-orders", "Orders", "__consumer_offsets"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("orders", {"orders"}),
        ("orders.*", {"orders", "orders-1", "orders.eu"}),
        ("orders|my-.*", {"orders", "my-orders"}),
        ("^orders$", {"orders"}),
        ("(?i)orders", {"orders", "Orders"}),
        ("[a-z]+[.-][a-z0-9]+", {"orders-1", "orders.eu", "my-orders"}),
        (".*", set(NAMES)),
        ("__.*", {"__consumer_offsets"}),
        (r"\Qorders.\Eeu", {"orders.eu"}),
        ("(?P<kind>orders)(-1)?", {"orders", "orders-1"}),
        ("nothing", set()),
        ("é+", set()),
    ],
)
def test_matches_whole_names(pattern: str, expected: set[str]) -> None:
    validate(pattern)
    assert matching(pattern, NAMES) == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(orders", "missing )"),
        ("*", "no argument for repetition operator"),
        ("a**", "bad repetition operator"),
        ("[b-a]", "invalid character class range"),
        (r"\1", "invalid escape sequence"),
        ("(?=orders)", "invalid perl operator"),
        ("a{1001}", "invalid repetition size"),
        ("(a{100}){11}", "invalid repetition size"),
        ("a" * 8_193, "longer than 8192 bytes"),
        ("é" * 4_097, "longer than 8192 bytes"),
        ("a{0,1000}" * 11, "repeats more than 10000 times"),
        (r"\pL{100}", "too large"),
        (r"(\pL{1000})", "too large"),
    ],
)
def test_refuses_with_the_reason(pattern: str, reason: str) -> None:
    with pytest.raises(BrokerError, match=reason.replace(")", r"\)")) as refusal:
        validate(pattern)
    assert refusal.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert refusal.value.message is not None
    assert len(refusal.value.message) < 700
    assert matching(pattern, [*NAMES, pattern]) == set(), "as a pattern that a log brings"


def test_a_list_of_a_hundred_names_is_a_pattern() -> None:
    names = [f"team-{number % 7}.service-{number}.events" for number in range(100)]
    assert matching("|".join(names), [*names, "team-1.service-1.eventsx"]) == set(names)


_HOSTILE = r"""
import resource, sys, time
from coordinator.assignors.regex import matching

names = [("abcxyz.-_" * 28)[i % 9 :][: 20 + i % 40] for i in range(1000)]
matching("warm.*", names)
started_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pieces = [
    "x{1000}", r"\pL{9}", "(?i)k{1000}", ".{0,999}", "(.{0,30}[ab]){0,30}", "(a|b.{9}){100}|", "[^k]|", r"\pL",
    "(?:.*a){20}", ".*a.{15}|", "(?:(?:a?){10}){100}", "(.*x.{30})*", "(", "(.*)*", "a*", "x|", "(?i)ß|", "(x+x+)+",
]
slowest = 0.0
for piece in pieces:
    for length in (0, 600, 4000, 8192, 1_000_000):
        begun = time.process_time()
        matching((piece * max(1, length // len(piece))).rstrip("|"), names)
        slowest = max(slowest, time.process_time() - begun)
print(slowest, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - started_kb) // 1024)
"""


def test_hostile_patterns_cost_little() -> None:
    """Each over a thousand names; a backtracking engine would take years over some."""
    done = subprocess.run(
        [sys.executable, "-c", _HOSTILE],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    slowest_s, memory_mib = map(float, done.stdout.split())
    assert slowest_s < 2
    assert memory_mib < 120
    assert not done.stderr, "the engine writes to nobody"

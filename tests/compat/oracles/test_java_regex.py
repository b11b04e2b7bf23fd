"""Goal: a topic pattern subscribes to the topics that Kafka would find with it, and is refused where Kafka refuses it.

Method: random patterns, made of what patterns are made of, on random names; the RE2/J of Kafka 4.3.1 answers
all in one JVM. What is known to differ stands below, so that a new difference is seen.
"""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from coordinator.assignors.regex import matching, validate
from protocol.errors import BrokerError
from tests.support import java

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(java.missing_tools() is not None, reason=str(java.missing_tools())),
]

EXAMPLES = 1_500
NAMES = [
    "a",
    "b",
    "ab",
    "aab",
    "abc",
    "A",
    "a.b",
    "a-b",
    "a_b",
    "__a",
    "a1",
    "1",
    "12",
    "-",
    ".a",
    "aaaaaaaaaa",
    "k{2}",
]
PIECES = (
    "a b ab . \\. - _ 1 ^ $ \\d \\w \\s \\W [ab] [^a] [a-c] [[:alpha:]] [[:^word:]] [\\d.] [] []a] [b-a] [^ [a&&b] && "
    "| || ( ) (?: (?i) (?-s) (?s) (?U) (?i (?-i: (?P<n> (?<n> (?= (?#x) "
    "* + ? ?? *? ** {2} {1,} {,2} {0,3} {1001} {2}{3} } ] : "
    "\\pL \\PL \\pN \\p{Lu} \\p{Greek} \\b \\B \\A \\z \\Z \\G \\Qa.b\\E \\Q \\E \\x61 \\x{62} \\x \\141 \\0 \\1 \\8 "
    "\\u0061 \\h \\R \\t \\n \\a \\e \\cA é"
)
"""With spaces between them."""
DIFFERENT = {
    r"a\C": ({"ab", "a1"}, None),  # any byte, which RE2/J does not know
    "{*": (set(), None),  # a brace that begins no count is a literal one; RE2/J does not let it be repeated
    r"\é": (None, set()),  # only RE2/J escapes what is no punctuation
    "(?P<n>a)(?P<n>b)": ({"ab"}, None),  # names do not matter to an engine that is told to capture nothing
}
"""What ours finds, what Kafka finds."""


def ask_kafka(patterns: list[str]) -> list[set[str] | None]:
    lines = [json.dumps({"pattern": pattern, "names": NAMES}) for pattern in patterns]
    output = java.KAFKA.run("RegexOracle", input_text="\n".join(lines) + "\n").stdout.splitlines()
    assert len(output) == len(patterns)
    return [None if answer is None else set(answer) for answer in map(json.loads, output)]


def ask_ours(pattern: str) -> set[str] | None:
    try:
        validate(pattern)
    except BrokerError:
        return None
    return set(matching(pattern, NAMES))


def is_comparable(pattern: str) -> bool:
    return len(re.findall(r"\(\?P?<n>", pattern)) <= 1


def random_patterns() -> list[str]:
    found: list[str] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=(Phase.generate,),
    )
    @given(
        pattern=st.lists(st.sampled_from(PIECES.split()), min_size=1, max_size=6)
        .map("".join)
        .filter(is_comparable)
    )
    def collect(pattern: str) -> None:
        found.append(pattern)

    collect()
    return found


def test_patterns_mean_the_same() -> None:
    patterns = random_patterns()
    theirs = ask_kafka(patterns)
    assert sum(answer is not None for answer in theirs) > EXAMPLES // 4, "most patterns were not valid"
    assert [ask_ours(pattern) for pattern in patterns] == theirs


def test_what_differs_is_known() -> None:
    theirs = ask_kafka(list(DIFFERENT))
    assert {
        pattern: (ask_ours(pattern), answer) for pattern, answer in zip(DIFFERENT, theirs, strict=True)
    } == DIFFERENT

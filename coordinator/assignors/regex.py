"""Which topics a pattern (`SubscribedTopicRegex`) subscribes to.

Patterns come from clients and are run on the event loop, so the engine is RE2, which never backtracks: google-re2,
loaded when the first pattern comes. Kafka's is RE2/J, of the same syntax. A pattern matches whole names, and internal
topics like any other, as in Kafka.

What a hostile pattern may cost is bounded three ways, each of which refuses what Kafka would take:
- its length, and the sum of its repetition counts, before it is parsed: the parser's time and memory follow them (at
  worst 0.25 s and 80 MiB, for as many Unicode classes as fit);
- the memory of the engine: `_MEMORY_BYTES` while a pattern is matched, nothing afterwards;
- the size of the program it becomes: at worst a name takes program × length steps of about 0.4 ns, so a thousand
  names of 40 characters 0.2 s. An ordinary pattern takes 1 µs for a name.

Source: KIP-848; Kafka group-coordinator, TopicRegexResolver.java, Utils.java (throwIfRegularExpressionIsInvalid).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    import re2

_PATTERN_BYTES_MAX = 8_192
_REPETITIONS_MAX = 10_000
_PROGRAM_SIZE_MAX = 10_000
"""In instructions of RE2. A literal character is one, `.` nine: it is one for each length that UTF-8 knows."""
_MEMORY_BYTES = 8 * 2**20
"""Of which the program may take two thirds; the rest is for the automaton that makes matching fast."""
_QUOTED_MAX = 256
"""Characters of a refused pattern that the answer repeats."""

_REPETITION = re.compile(r"\{(?:(\d{1,4}),?|\d{1,4},(\d{1,4}))\}")
"""The engine itself takes no more than 1000 each, nor as the product of nested ones."""


def validate(pattern: str) -> None:
    """Raises: BrokerError INVALID_REGULAR_EXPRESSION, with the reason."""
    _compile(pattern)


def matching(pattern: str, topic_names: Iterable[str]) -> frozenset[str]:
    """Return the names that the pattern matches from end to end.

    A pattern that `validate` refuses matches none: one that a Kafka took may stand in the log, and its group goes on.
    """
    try:
        match = _compile(pattern).fullmatch
    except BrokerError:
        return frozenset()
    return frozenset(name for name in topic_names if match(name.encode()) is not None)


def _compile(pattern: str) -> re2._Regexp:
    import re2  # noqa: PLC0415 - only who subscribes by pattern pays for it

    if len(pattern) > _PATTERN_BYTES_MAX or len(data := pattern.encode()) > _PATTERN_BYTES_MAX:
        raise _invalid(pattern, f"it is longer than {_PATTERN_BYTES_MAX} bytes")
    repetitions = sum(int(count or most) for count, most in _REPETITION.findall(pattern))
    if repetitions > _REPETITIONS_MAX:
        raise _invalid(pattern, f"it repeats more than {_REPETITIONS_MAX} times")
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    options.never_capture = True
    options.log_errors = False
    try:
        compiled = re2.compile(data, options)
    except re2.error as error:
        raise _invalid(pattern, _reason(error)) from None
    finally:
        re2.purge()  # the library would keep the last 128, each with its memory
    if compiled.programsize > _PROGRAM_SIZE_MAX:
        raise _invalid(pattern, "it is too large")
    return compiled


def _reason(error: Exception) -> str:
    text = error.args[0]
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _invalid(pattern: str, reason: str) -> BrokerError:
    quoted = pattern if len(pattern) <= _QUOTED_MAX else pattern[:_QUOTED_MAX] + "…"
    return BrokerError(
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        f"The topic pattern `{quoted}` is not valid: {reason[:_QUOTED_MAX]}.",
    )

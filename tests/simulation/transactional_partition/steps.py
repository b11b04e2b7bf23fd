"""What may happen to a transactional partition, how often, and as which step three numbers are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tests.simulation.transactional_partition.world import PRODUCERS, Step

Arguments: TypeAlias = Callable[[int, int], tuple[Any, ...]]

LIMIT = 1000
"""The numbers are below this."""


def step_of(kind: int, first: int, second: int) -> Step:
    """Return the step that three numbers stand for."""
    name, arguments = _KINDS[kind % len(_KINDS)]
    return name, *arguments(first, second)


def _producer(first: int, _second: int) -> tuple[int]:
    return (PRODUCERS[first % len(PRODUCERS)],)


def _share(first: int, _second: int) -> tuple[float]:
    return (first / LIMIT,)


def _nothing(_first: int, _second: int) -> tuple[()]:
    return ()


_STEPS: list[tuple[int, str, Arguments]] = [
    (16, "ask", lambda first, second: (*_producer(first, second), second % 3 + 1)),
    (16, "answer", lambda first, second: (*_producer(first, second), second)),
    (8, "end", lambda first, second: (*_producer(first, second), second % 2 == 0)),
    (12, "complete", _producer),
    (4, "repeat", _producer),
    (8, "replicate", lambda first, _: (max(first % 6 - 2, 0),)),
    (6, "read", lambda first, second: (first / LIMIT, second + 1)),
    (6, "aborted", lambda first, second: (first / LIMIT, second % 20 + 1)),
    (3, "plain", lambda first, _: (first % 3 + 1,)),
    (2, "roll", _nothing),
    (2, "flush", _nothing),
    (2, "truncate", _share),
    (1, "delete", _share),
    (1, "retain", _nothing),
    (2, "reopen", lambda first, second: (first % 2 == 0, second % 4)),
]
_KINDS = [(name, arguments) for weight, name, arguments in _STEPS for _ in range(weight)]

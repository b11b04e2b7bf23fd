"""The end of a command that had to do with several things: what became of each; 1 when any was refused."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from logd.cli import output
from logd.cli.connection import explain
from logd.console import warn
from protocol.errors import BrokerError

T = TypeVar("T")


class Outcome(NamedTuple):
    """What became of one thing."""

    row: Mapping[str, object]
    """Its JSON object, to which `error` is added: null, or an object with `code` and `message`."""
    text: str
    """What is said when it was done."""
    error: BrokerError | None = None


def print_outcomes(options: argparse.Namespace, outcomes: Sequence[Outcome]) -> int:
    """Print what was done on standard output and what was not on standard error; return the exit code."""
    if options.json:
        output.print_json([{**each.row, "error": error_row(each.error)} for each in outcomes])
    for each in outcomes:
        if each.error is None and not options.json:
            output.print_line(each.text)
    output.flush()
    return tell_failures(each.error for each in outcomes if each.error is not None)


def tell_failures(failures: Iterable[BrokerError]) -> int:
    """Say on standard error what was not done, of several things for the same reason once; return the exit code."""
    lines = dict.fromkeys(explain(error) for error in failures)
    for line in lines:
        warn(line)
    return 1 if lines else 0


async def gather_answers(calls: Iterable[Awaitable[T]]) -> tuple[list[T], list[BrokerError]]:
    """Wait for all; return what they came to, and what brokers refused, each in order. Anything else is raised."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    found: list[T] = []
    failures: list[BrokerError] = []
    for answer in answers:
        if isinstance(answer, BrokerError):
            failures.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found.append(answer)
    return found, failures


def error_row(error: BrokerError | None) -> dict[str, object] | None:
    """An error as JSON has it."""
    if error is None:
        return None
    return {"code": error.code.name, "message": error.text}

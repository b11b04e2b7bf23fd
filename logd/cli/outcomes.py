"""The end of a command that changed several things: one line, or one JSON object, for each; 1 when any was refused."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from logd.cli import output
from logd.cli.connection import explain
from logd.console import warn

if TYPE_CHECKING:
    from protocol.errors import BrokerError


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
    failed = [each.error for each in outcomes if each.error is not None]
    for error in failed:
        warn(explain(error))
    return 1 if failed else 0


def error_row(error: BrokerError | None) -> dict[str, object] | None:
    """An error as JSON has it."""
    if error is None:
        return None
    return {"code": error.code.name, "message": error.text}

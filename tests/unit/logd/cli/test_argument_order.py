"""Goal: arguments mean what they mean to getopt. Method: what argparse alone misreads, through a real parser."""

from __future__ import annotations

import argparse

import pytest

from logd.cli.argument_order import in_order
from logd.cli.errors import UsageError
from logd.cli.parser import Parser

TAKES_VALUE = {"-K": True, "-f": True, "--format": True, "-e": False, "-q": False, "--exit": False}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["t", "-e"], ["-e", "t"]),
        (["-K:", "t"], ["-K", ":", "t"]),
        (["-K="], ["-K", "="]),
        (["-K=="], ["-K", "=="]),
        (["-K", "="], ["-K", "="]),
        (["-K", "-"], ["-K", "-"]),
        (["-K-"], ["-K", "-"]),
        (["-f", "- %s"], ["-f- %s"]),
        (["--format", "- %s"], ["--format=- %s"]),
        (["--format=- %s"], ["--format=- %s"]),
        (["-f", ""], ["-f", ""]),
        (["-eqK:", "t"], ["-e", "-q", "-K", ":", "t"]),
        (["a", "-e", "b", "-q", "c"], ["-e", "-q", "a", "b", "c"]),
        (["-e", "--", "-q", "t"], ["-e", "--", "-q", "t"]),
        (["-", "-e"], ["-e", "-"]),
        (["-K", "-e"], ["-K", "-e"]),
        (["--format", "--exit"], ["--format", "--exit"]),
        (["-K"], ["-K"]),
        (["-x", "t"], ["-x", "t"]),
        (["-ex", "t"], ["-e", "-x", "t"]),
        (["--nothing", "t"], ["--nothing", "t"]),
    ],
)
def test_order(given: list[str], expected: list[str]) -> None:
    assert in_order(given, TAKES_VALUE) == expected


def _parse(*arguments: str) -> argparse.Namespace:
    parser = Parser(prog="logd x")
    parser.add_argument("topic")
    parser.add_argument("files", nargs="*")
    parser.add_argument("-K")
    parser.add_argument("-f", "--format")
    parser.add_argument("-o")
    parser.add_argument("-e", "--exit", action="store_true")
    return parser.parse_args(arguments)


def test_what_argparse_makes_of_it() -> None:
    assert _parse("t", "-K=", "a", "-e", "b").files == ["a", "b"]
    assert _parse("t", "-K=").K == "="
    assert _parse("t", "-K", "-").K == "-"
    assert _parse("t", "-f", "-%s=%k").format == "-%s=%k"
    assert _parse("t", "--format", "-%s").format == "-%s"
    assert _parse("t", "-o", "-5").o == "-5" and _parse("t", "-o-5").o == "-5"
    assert _parse("t", "--", "-e").files == ["-e"] and not _parse("t", "--", "-e").exit


@pytest.mark.parametrize("wrong", [["t", "-K"], ["t", "-K", "-e"], ["t", "-z"], ["t", "--exi"], []])
def test_mistakes_are_still_mistakes(wrong: list[str]) -> None:
    with pytest.raises(UsageError):
        _parse(*wrong)

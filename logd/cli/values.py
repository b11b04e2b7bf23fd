"""Values of options that several commands take: words, spans of time, partitions of topics."""

from __future__ import annotations

import argparse
import re

from logd.cli.parser import INT32_MAX, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from collections.abc import Callable

_DURATION = re.compile(
    r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> int:
    """For argparse: an ISO-8601 duration such as P1DT2H, as milliseconds. Months and years have no fixed length."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no ISO-8601 duration of weeks to seconds, such as PT1H30M"
        )
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    from datetime import timedelta  # noqa: PLC0415 - --help needs none of it

    span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return span // timedelta(milliseconds=1)


def parse_partitions(text: str) -> tuple[str, list[int]]:
    """For argparse: TOPIC, or TOPIC:PARTITION[,...]; no partitions stands for all."""
    topic, colon, numbers = text.partition(":")  # a topic's name has no colon
    parts = numbers.split(",") if colon else []
    if not topic or not all(
        re.fullmatch(r"[0-9]{1,10}", part, re.ASCII) and int(part) <= INT32_MAX for part in parts
    ):
        raise argparse.ArgumentTypeError(f"{text!r} is not TOPIC or TOPIC:PARTITION[,...]")
    return topic, sorted({int(part) for part in parts})


def add_partitions_option(parser: Parser, *, help: str, required: bool = False) -> None:
    """--topic, which may name partitions; all that are given are `options.topics`."""
    parser.add_argument(
        "--topic",
        dest="topics",
        metavar="TOPIC[:N,...]",
        type=parse_partitions,
        action="append",
        default=[],
        required=required,
        help=help,
    )


def one_of(words: tuple[str, ...]) -> Callable[[str], str]:
    """One of some words, whatever its case, for argparse."""

    def parse(text: str) -> str:
        word = text.lower()
        if word not in words:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(words)}")
        return word

    return parse

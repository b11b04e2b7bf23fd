"""Where `logd group reset-offsets` moves a group to: the values of its options.

Times are ISO-8601; without a zone they are UTC, as in Kafka's tools.
"""

from __future__ import annotations

import argparse
import re

from logd.cli.parser import INT32_MAX, INT64_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from logd.cli.group_reset_offsets import Goal

_DURATION = re.compile(
    r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?",
    re.ASCII,
)


def parse_goal(text: str) -> Goal:
    """For argparse: earliest, latest, OFFSET, an ISO-8601 time, @MILLISECONDS since 1970."""
    if text in ("earliest", "latest"):
        return text, 0
    kind, digits = ("time", text[1:]) if text.startswith("@") else ("offset", text)
    if re.fullmatch(r"[0-9]{1,19}", digits, re.ASCII) and int(digits) <= INT64_MAX:
        return kind, int(digits)
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - --help needs none of it

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        wanted = "earliest, latest, an offset, a time such as 2026-01-31T12:00:00Z, @MILLISECONDS since 1970"
        raise argparse.ArgumentTypeError(f"{text!r} is none of {wanted}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_1970 = moment - datetime(1970, 1, 1, tzinfo=UTC)
    if since_1970 < timedelta():
        raise argparse.ArgumentTypeError(f"{text!r} is before 1970")
    return "time", since_1970 // timedelta(milliseconds=1)


def parse_duration(text: str) -> int:
    """For argparse: an ISO-8601 duration such as P1DT2H, as milliseconds. Months and years have no fixed length."""
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no ISO-8601 duration of days to seconds, such as PT1H30M"
        )
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    from datetime import timedelta  # noqa: PLC0415 - as above

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

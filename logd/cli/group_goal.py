"""Where `logd group reset-offsets` moves a group to: the value of its --to.

Times are ISO-8601; without a zone they are UTC, as in Kafka's tools.
"""

from __future__ import annotations

import argparse
import re

from logd.cli.parser import INT64_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from logd.cli.group_reset_offsets import Goal


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

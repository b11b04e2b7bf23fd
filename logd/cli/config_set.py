"""`logd config set`: NAME=VALUE, and NAME+=VALUE and NAME-=VALUE for lists."""

from __future__ import annotations

import argparse
import re

from logd.cli.config_changes import SIGNS, Change, apply
from logd.cli.errors import UsageError
from logd.cli.settings import parse_resource

_CHANGE = re.compile(r"([^=]*[^=+-])(\+=|-=|=)(.*)", re.DOTALL)
_OPERATIONS = {sign: operation for operation, sign in SIGNS.items()}


def run(options: argparse.Namespace) -> int:
    return apply(options, parse_resource(options.resource), _changes(options.changes))


def _changes(texts: list[str]) -> list[Change]:
    changes: dict[str, Change] = {}
    for text in texts:
        match = _CHANGE.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not NAME=VALUE", "NAME+=VALUE and NAME-=VALUE change a list")
        name = match[1].strip()
        if name in changes:
            raise UsageError(f"{name} is given twice", "give it one value")
        changes[name] = Change(name, _OPERATIONS[match[2]], match[3])
    return list(changes.values())

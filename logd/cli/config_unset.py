"""`logd config unset`: what was set on a topic or a broker is taken away."""

from __future__ import annotations

import argparse

from logd.cli.config_changes import DELETE, Change, apply
from logd.cli.settings import parse_resource


def run(options: argparse.Namespace) -> int:
    changes = [Change(name, DELETE, None) for name in dict.fromkeys(options.names)]
    return apply(options, parse_resource(options.resource), changes)

"""`logd config unset`: what was set on a topic or a broker is taken away."""

from __future__ import annotations

import argparse

from logd.cli.config_changes import Change, apply
from logd.cli.settings import parse_resource
from protocol.configs import ConfigOperation


def run(options: argparse.Namespace) -> int:
    changes = [Change(name, ConfigOperation.DELETE, None) for name in dict.fromkeys(options.names)]
    return apply(options, parse_resource(options.resource), changes)

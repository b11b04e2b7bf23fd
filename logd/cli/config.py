"""`logd config`: its actions and their options, and how a user writes what has settings."""

from __future__ import annotations

import argparse

from logd.cli.parser import Parser, add_actions, add_client_options, add_command, run_action

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_RESOURCES = "what has the settings: topic/NAME, broker/ID, or broker/default for all brokers"
_LIST = """\
  logd config list                           everything that was set on topics and brokers
  logd config list topic/orders broker/default
"""
_GET = """\
  logd config get topic/orders               all settings, and where each comes from
  logd config get topic/orders --changed
  logd config get topic/orders retention.ms -q         the value alone
  logd config get broker/1 -J | jq -r '.settings[] | select(.dynamic) | .name'
"""
_SET = """\
  logd config set topic/orders retention.ms=60000 segment.bytes=1048576
  logd config set topic/orders cleanup.policy+=compact           add to a list; -= takes away
  logd config set broker/default log.retention.ms=3600000 --dry-run
"""
_UNSET = """\
  logd config unset topic/orders retention.ms          the broker's value counts again
"""


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "config",
        help="show and change the settings of topics and brokers",
        description="Show and change settings while brokers run.",
        epilog="  logd config get topic/orders\n  logd config set topic/orders retention.ms=60000\n",
    )
    parser.set_defaults(run=run)
    actions = add_actions(parser)
    for add in (_add_list, _add_get, _add_set, _add_unset):
        add_client_options(add(actions))


def run(options: argparse.Namespace) -> int:
    return run_action("config", options.action, options)


def _add_list(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "list",
        help="list what was set",
        description="List the settings that were made on topics and brokers while they ran.",
        epilog=_LIST,
    )
    parser.add_argument(
        "resources", metavar="RESOURCE", nargs="*", default=[], help=f"only these; {_RESOURCES}"
    )
    return parser


def _add_get(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "get",
        help="show settings in force",
        description="Show settings as they are in force, whether each can be changed while brokers run, and where it "
        "comes from: topic, broker, broker/default, static (the broker's file or command line), default.",
        epilog=_GET,
    )
    parser.add_argument("resource", metavar="RESOURCE", help=_RESOURCES)
    parser.add_argument("names", metavar="NAME", nargs="*", default=[], help="only these settings")
    parser.add_argument("--changed", action="store_true", help="only those that are not defaults")
    parser.add_argument("-q", "--quiet", action="store_true", help="values only, one a line")
    return parser


def _add_set(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "set",
        help="change settings",
        description="Change settings at once, all or none.",
        epilog=_SET,
    )
    parser.add_argument("resource", metavar="RESOURCE", help=_RESOURCES)
    parser.add_argument("changes", metavar="NAME=VALUE", nargs="+", help="what to set")
    _add_dry_run(parser)
    return parser


def _add_unset(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "unset",
        help="go back to what counts without a setting",
        description="Remove settings from a topic or a broker: the broker's value, or the default, counts again.",
        epilog=_UNSET,
    )
    parser.add_argument("resource", metavar="RESOURCE", help=_RESOURCES)
    parser.add_argument("names", metavar="NAME", nargs="+", help="which")
    _add_dry_run(parser)
    return parser


def _add_dry_run(parser: Parser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="have the broker check it, and change nothing")

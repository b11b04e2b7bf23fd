"""`logd group`: its actions and their options. What each does is a module of its own, group_<action>."""

from __future__ import annotations

import argparse

from logd.cli.group_goal import parse_goal
from logd.cli.parser import (
    INT64_MAX,
    Parser,
    add_actions,
    add_client_options,
    add_command,
    run_action,
    whole_number,
)
from logd.cli.values import add_partitions_option, one_of, parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_LIST = """\
  logd group list
  logd group list 'billing-*' --state stable
  logd group list --state empty -q           names only
"""
_DESCRIBE = """\
  logd group describe billing                members, and how far behind they are
  logd group describe 'billing-*'
  logd group describe billing -J | jq '.[0].lag'
"""
_DELETE = """\
  logd group delete billing
  logd group delete 'test-*' --yes           quote patterns, or the shell takes them for files
  logd group delete billing --if-exists      no error when it is not there
"""
_RESET = """\
  logd group reset-offsets billing --topic orders --to earliest              shows what would change
  logd group reset-offsets billing --topic orders --to earliest --execute    changes it
  logd group reset-offsets billing --topic orders:0,3 --to 1000
  logd group reset-offsets billing --all-topics --to 2026-01-31T12:00:00Z
  logd group reset-offsets billing --all-topics --by-duration PT1H
  logd group reset-offsets billing --all-topics --shift-by -100
  logd group reset-offsets billing --from-file offsets.csv --execute
"""
_DELETE_OFFSETS = """\
  logd group delete-offsets billing --topic orders
  logd group delete-offsets billing --topic orders:0,3 --yes
"""
_PATTERNS = "a pattern such as 'billing-*' stands for all groups that fit"
_PARTITIONS = "a topic, or some of its partitions; repeatable"
_STATES = (
    "assigning",
    "completingrebalance",
    "dead",
    "empty",
    "notready",
    "preparingrebalance",
    "reconciling",
    "stable",
)
_TYPES = ("classic", "consumer", "share", "streams")


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "group",
        help="list, describe and delete groups of consumers, and reset their offsets",
        description="Work on groups of consumers.",
        epilog="  logd group list\n  logd group describe billing\n  logd group reset-offsets --help\n",
    )
    parser.set_defaults(run=run)
    actions = add_actions(parser)
    for add in (_add_list, _add_describe, _add_delete, _add_reset_offsets, _add_delete_offsets):
        add_client_options(add(actions))


def run(options: argparse.Namespace) -> int:
    return run_action("group", options.action, options)


def _add_list(actions: Any) -> Parser:
    parser = add_command(
        actions, "list", help="list groups", description="List groups by name.", epilog=_LIST
    )
    parser.add_argument("groups", metavar="GROUP", nargs="*", help=f"only these; {_PATTERNS}")
    parser.add_argument(
        "--state",
        dest="states",
        metavar="STATE",
        type=one_of(_STATES),
        action="append",
        default=[],
        help="only groups in this state, such as stable or empty; repeatable",
    )
    parser.add_argument(
        "--type",
        dest="types",
        metavar="TYPE",
        type=one_of(_TYPES),
        action="append",
        default=[],
        help=f"only groups of this type: {', '.join(_TYPES)}; repeatable",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
    return parser


def _add_describe(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "describe",
        help="show members, offsets and lag",
        description="Show a group's coordinator, its members with what they read, and for each partition the committed "
        "offset, the end (the offset that the next record gets) and the lag between them.",
        epilog=_DESCRIBE,
    )
    parser.add_argument("groups", metavar="GROUP", nargs="+", help=f"which; {_PATTERNS}")
    return parser


def _add_delete(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "delete",
        help="delete groups and their committed offsets",
        description="Delete groups without members, with all their committed offsets. On a terminal it asks first.",
        epilog=_DELETE,
    )
    parser.add_argument("groups", metavar="GROUP", nargs="+", help=f"which; {_PATTERNS}")
    parser.add_argument("--if-exists", action="store_true", help="no error where one does not exist")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser


def _add_reset_offsets(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "reset-offsets",
        help="set where a group goes on",
        description="Set the committed offsets of a group without members. Without --execute it only shows what would "
        "change. Offsets outside of the records are moved to their nearer end.",
        epilog=_RESET,
    )
    parser.add_argument("group", metavar="GROUP", help="which")
    add_partitions_option(parser, help=_PARTITIONS)
    parser.add_argument(
        "--all-topics", action="store_true", help="all topics for which the group has committed offsets"
    )
    parser.add_argument(
        "--to",
        metavar="WHERE",
        type=parse_goal,
        help="earliest, latest, an offset, or the first record at or after a time: ISO-8601 (UTC unless it names a "
        "zone), or @MILLISECONDS since 1970",
    )
    parser.add_argument(
        "--shift-by",
        metavar="N",
        type=whole_number(-INT64_MAX, INT64_MAX),
        help="so many records on, or back where it is negative",
    )
    parser.add_argument(
        "--by-duration",
        metavar="DURATION",
        type=parse_duration,
        help="the first record that is no older than this, such as PT1H30M or P7D",
    )
    parser.add_argument(
        "--from-file", metavar="FILE", help="lines of TOPIC,PARTITION,OFFSET; `-` is standard input"
    )
    parser.add_argument(
        "--execute", action="store_true", help="change it, rather than show what would change"
    )
    return parser


def _add_delete_offsets(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "delete-offsets",
        help="forget a group's offsets of some topics",
        description="Delete committed offsets of topics that no member reads. On a terminal it asks first.",
        epilog=_DELETE_OFFSETS,
    )
    parser.add_argument("group", metavar="GROUP", help="which")
    add_partitions_option(parser, help=_PARTITIONS, required=True)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser

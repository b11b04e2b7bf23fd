"""`logd topic`: its actions and their options. What each does is a module of its own, topic_<action>."""

from __future__ import annotations

import argparse

from logd.cli.parser import (
    INT32_MAX,
    INT64_MAX,
    Parser,
    add_actions,
    add_client_options,
    add_command,
    pair,
    run_action,
    whole_number,
)

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_LIST = """\
  logd topic list
  logd topic list 'order*' --size
  logd topic list -q | wc -l                 names only
  logd topic list -J | jq -r '.[] | select(.partitions > 8) | .topic'
"""
_DESCRIBE = """\
  logd topic describe orders
  logd topic describe 'order*'
  logd topic describe orders -J | jq '.[0].partitions[].end_offset'
"""
_CREATE = """\
  logd topic create orders payments --partitions 6
  logd topic create orders -c retention.ms=60000 -c cleanup.policy=delete
  logd topic create orders --if-not-exists --wait      in scripts: ready when it returns
"""
_DELETE = """\
  logd topic delete orders payments
  logd topic delete 'test-*' --yes           quote patterns, or the shell takes them for files
  logd topic delete orders --if-exists       no error when it is not there
"""
_ALTER = """\
  logd topic alter orders --partitions 12
  logd config set topic/orders retention.ms=60000      settings are changed with `logd config`
"""
_TRIM = """\
  logd topic trim orders --before 1000 -p 0  records below offset 1000 of partition 0 go
  logd topic trim orders --before end        all records of all partitions go; the topic stays
"""
_COMPACT = """\
  logd topic compact customers               what is in the topic by now, all partitions
  logd topic compact customers -p 3 -J | jq '.[].bytes_after'
"""
_PATTERNS = "a pattern such as 'order*' stands for all topics that fit"


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "topic",
        help="list, describe, create, delete, alter, trim and compact topics",
        description="Work on topics.",
        epilog="  logd topic list\n  logd topic create orders --partitions 3\n  logd topic list --help\n",
    )
    parser.set_defaults(run=run)
    actions = add_actions(parser)
    for add in (_add_list, _add_describe, _add_create, _add_delete, _add_alter, _add_trim, _add_compact):
        add_client_options(add(actions))


def run(options: argparse.Namespace) -> int:
    return run_action("topic", options.action, options)


def _add_list(actions: Any) -> Parser:
    parser = add_command(
        actions, "list", help="list topics", description="List topics by name.", epilog=_LIST
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="*", default=[], help=f"only these; {_PATTERNS}")
    parser.add_argument(
        "--internal", action="store_true", help="internal topics, such as __consumer_offsets, too"
    )
    parser.add_argument("--size", action="store_true", help="how many bytes each holds, replicas not counted")
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
    return parser


def _add_describe(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "describe",
        help="show partitions, offsets, sizes and settings",
        description="Show a topic's partitions with their leaders, replicas, offsets (the end is the offset that the "
        "next record gets) and sizes, and the settings that are not Kafka's defaults.",
        epilog=_DESCRIBE,
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="+", help=f"which; {_PATTERNS}")
    return parser


def _add_create(actions: Any) -> Parser:
    parser = add_command(
        actions, "create", help="create topics", description="Create topics, all alike.", epilog=_CREATE
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="+", help="their names")
    parser.add_argument(
        "--partitions",
        metavar="N",
        type=whole_number(1, INT32_MAX),
        default=-1,
        help="how many; default: what the broker says (num.partitions)",
    )
    parser.add_argument(
        "--replication-factor",
        metavar="N",
        type=whole_number(1, 32_767),
        default=-1,
        help="how many copies; default: what the broker says (default.replication.factor)",
    )
    parser.add_argument(
        "-c",
        "--config",
        dest="settings",
        metavar="NAME=VALUE",
        type=pair,
        action="append",
        default=[],
        help="a setting of the topics; repeatable",
    )
    parser.add_argument("--if-not-exists", action="store_true", help="no error where one exists already")
    parser.add_argument("--wait", action="store_true", help="return when every partition has a leader")
    parser.add_argument("--dry-run", action="store_true", help="have the broker check it, and change nothing")
    return parser


def _add_delete(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "delete",
        help="delete topics and their records",
        description="Delete topics with all their records. On a terminal it asks first.",
        epilog=_DELETE,
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="+", help=f"which; {_PATTERNS}")
    parser.add_argument("--if-exists", action="store_true", help="no error where one does not exist")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser


def _add_alter(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "alter",
        help="add partitions",
        description="Add partitions to topics. There is no way back, and keys go to other partitions afterwards.",
        epilog=_ALTER,
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="+", help="which")
    parser.add_argument(
        "--partitions",
        metavar="N",
        type=whole_number(1, INT32_MAX),
        required=True,
        help="how many there are to be in all",
    )
    parser.add_argument("--dry-run", action="store_true", help="have the broker check it, and change nothing")
    return parser


def _add_trim(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "trim",
        help="delete a topic's oldest records",
        description="Delete records below an offset. Later records keep their offsets; disk space comes back when "
        "whole segments are free. On a terminal it asks first.",
        epilog=_TRIM,
    )
    parser.add_argument("topic", metavar="TOPIC", help="which")
    parser.add_argument(
        "--before",
        metavar="OFFSET",
        required=True,
        type=_offset,
        help="the first offset to keep, or `end` to keep nothing",
    )
    _add_partitions(parser, "of this partition; repeatable; needed with an offset where there are several")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser


def _add_compact(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "compact",
        help="compact a topic now",
        description="Have the broker compact what is in a topic by now, however little of it is dirty, and wait until "
        "that is done; Ctrl-C ends the waiting only. The topic's cleanup.policy must include compact. Only logd "
        "compacts on request.",
        epilog=_COMPACT,
    )
    parser.add_argument("topic", metavar="TOPIC", help="which")
    _add_partitions(parser, "only this partition; repeatable")
    return parser


def _add_partitions(parser: Parser, text: str) -> None:
    parser.add_argument(
        "-p",
        "--partition",
        dest="partitions",
        metavar="N",
        type=whole_number(0, INT32_MAX),
        action="append",
        help=text,
    )


def _offset(text: str) -> int | None:
    return None if text == "end" else whole_number(0, INT64_MAX)(text)

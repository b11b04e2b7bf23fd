"""`logd txn`: its actions and their options. What each does is a module of its own, txn_<action>."""

from __future__ import annotations

import argparse

from logd.cli.parser import (
    INT32_MAX,
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

INT16_MAX = (1 << 15) - 1
HANGING_AFTER_MS = 15 * 60 * 1000
"""transaction.max.timeout.ms by default: what is older, its coordinator should have ended."""

_LIST = """\
  logd txn list
  logd txn list 'copier-*' --state ongoing
  logd txn list --older-than PT5M -q         names only
"""
_DESCRIBE = """\
  logd txn describe copier-1
  logd txn describe copier-1 -J | jq '.[0].partitions'
"""
_FIND_HANGING = """\
  logd txn find-hanging
  logd txn find-hanging --topic orders:0,3
  logd txn find-hanging --older-than PT1H -J
"""
_ABORT = """\
  logd txn abort copier-1                    its producer is fenced
  logd txn abort --topic orders:0 --start-offset 1234 --yes
  logd txn abort --topic orders:0 --producer-id 4000 --producer-epoch 3 --coordinator-epoch 0
"""
_STATES = (
    "empty",
    "ongoing",
    "preparecommit",
    "prepareabort",
    "completecommit",
    "completeabort",
    "prepareepochfence",
    "dead",
)


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "txn",
        help="list and describe transactions, find those that hang, and abort them",
        description="Work on transactions.",
        epilog="  logd txn list\n  logd txn find-hanging\n  logd txn abort --help\n",
    )
    parser.set_defaults(run=run)
    actions = add_actions(parser)
    for add in (_add_list, _add_describe, _add_find_hanging, _add_abort):
        add_client_options(add(actions))


def run(options: argparse.Namespace) -> int:
    return run_action("txn", options.action, options)


def _add_list(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "list",
        help="list transactional ids",
        description="List transactional ids by name, with the state of their newest transactions.",
        epilog=_LIST,
    )
    parser.add_argument(
        "ids",
        metavar="TRANSACTIONAL-ID",
        nargs="*",
        help="only these; a pattern such as 'copier-*' stands for all that fit",
    )
    parser.add_argument(
        "--state",
        dest="states",
        metavar="STATE",
        type=one_of(_STATES),
        action="append",
        default=[],
        help=f"only in this state: {', '.join(_STATES)}; repeatable",
    )
    parser.add_argument(
        "--producer-id",
        dest="producer_ids",
        metavar="N",
        type=whole_number(0, INT64_MAX),
        action="append",
        default=[],
        help="only of this producer id; repeatable",
    )
    parser.add_argument(
        "--older-than",
        metavar="DURATION",
        type=parse_duration,
        help="only transactions under way for longer than this, such as PT1H30M",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
    return parser


def _add_describe(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "describe",
        help="show state, producer and partitions",
        description="Show a transactional id's coordinator, its producer, and of a transaction that is under way since "
        "when, and the partitions in it.",
        epilog=_DESCRIBE,
    )
    parser.add_argument("ids", metavar="TRANSACTIONAL-ID", nargs="+", help="which")
    return parser


def _add_find_hanging(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "find-hanging",
        help="find transactions that nobody will end",
        description="Find transactions that are open in a partition and that their coordinator does not know of: "
        "readers of committed records wait for them for ever.",
        epilog=_FIND_HANGING,
    )
    add_partitions_option(parser, help="look at a topic, or at some of its partitions, only; repeatable")
    parser.add_argument(
        "--node",
        metavar="ID",
        type=whole_number(0, INT32_MAX),
        help="ask this node, about the partitions that it has replicas of; else their leaders are asked",
    )
    parser.add_argument(
        "--older-than",
        metavar="DURATION",
        type=parse_duration,
        default=HANGING_AFTER_MS,
        help="leave out what was written to within this time; default PT15M, which is how long transactions may last "
        "unless transaction.max.timeout.ms says otherwise",
    )
    return parser


def _add_abort(actions: Any) -> Parser:
    parser = add_command(
        actions,
        "abort",
        help="abort a transaction",
        description="Abort the transaction of a transactional id, which fences its producer; or, with --topic, the "
        "part that a hanging transaction has in one partition. On a terminal it asks first.",
        epilog=_ABORT,
    )
    parser.add_argument("ids", metavar="TRANSACTIONAL-ID", nargs="*", help="which")
    add_partitions_option(parser, help="the partition of a hanging transaction, such as orders:0")
    parser.add_argument(
        "--start-offset",
        metavar="OFFSET",
        type=whole_number(0, INT64_MAX),
        help="where the hanging transaction begins; `logd txn find-hanging` says it",
    )
    parser.add_argument(
        "--producer-id",
        metavar="N",
        type=whole_number(0, INT64_MAX),
        help="instead of where it begins, with both epochs: whose it is",
    )
    parser.add_argument("--producer-epoch", metavar="N", type=whole_number(0, INT16_MAX), help="its epoch")
    parser.add_argument(
        "--coordinator-epoch",
        metavar="N",
        type=whole_number(-1, INT32_MAX),
        help="the epoch of the coordinator that ended its transaction before; -1 where none has",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also where the coordinator will still end it: other partitions may then commit what this one aborts",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    return parser

"""`logd cluster`: its options. What it shows is gathered in cluster_describe and cluster_apis."""

from __future__ import annotations

import argparse

from logd.cli.parser import INT32_MAX, add_client_options, add_command, run_action, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_EXAMPLES = """\
  logd cluster                               id, nodes, features, durability
  logd cluster apis                          which requests it serves, in which versions
  logd cluster apis --node 2 -J | jq '.apis[] | select(.name == "Fetch")'
"""


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "cluster",
        help="show the cluster's nodes and what they can do",
        description="Show a cluster: its id, its nodes, its features, and what an acknowledgement promises as far as "
        "brokers tell.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "what",
        nargs="?",
        choices=("describe", "apis"),
        default="describe",
        metavar="describe|apis",
        help="the cluster (default), or the requests that a node serves",
    )
    parser.add_argument(
        "--node",
        metavar="ID",
        type=whole_number(0, INT32_MAX),
        help="with apis: of this node; default: of the one that --bootstrap leads to",
    )
    add_client_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    return run_action("cluster", options.what, options)

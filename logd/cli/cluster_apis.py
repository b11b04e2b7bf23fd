"""`logd cluster apis`.

JSON: {node, apis}; node is null where none was asked for, each of the apis is {key, name, min_version, max_version}.
"""

from __future__ import annotations

import argparse

from logd.cli import output
from logd.cli.api_names import API_NAMES
from logd.cli.connection import run_with_client
from logd.clients.cluster_client import ClusterClient


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        client = cluster.any if options.node is None else await cluster.node(options.node)
        rows = [
            (key, API_NAMES.get(key, "unknown"), first, last)
            for key, (first, last) in sorted(client.versions.items())
        ]
        if options.json:
            names = ("key", "name", "min_version", "max_version")
            apis = [dict(zip(names, row, strict=True)) for row in rows]
            output.print_json({"node": options.node, "apis": apis})
        else:
            output.print_table(("KEY", "NAME", "MIN", "MAX"), rows)
        return 0

    return run_with_client(options, work)

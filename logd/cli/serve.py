"""`logd serve`: its options. What they mean is logd/serve.py's."""

from __future__ import annotations

import argparse

from logd.cli.parser import add_command

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_EXAMPLES = """\
  logd serve                                   data in ./logd-data, port 9092 of this machine only
  logd serve --data-dir /srv/logd --port 0     any free port; the one it got is printed
  logd serve --memory --port 0                 nothing is kept: for tests
  logd serve --config server.properties        Kafka's own file
  logd serve -X num.partitions=3 -X log.retention.hours=24
  LOGD_NUM_PARTITIONS=3 logd serve             properties from the environment
"""


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "serve",
        help="start a broker",
        description="Start a broker; it runs until SIGTERM or Ctrl-C.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="where the data is kept (log.dirs); default ./logd-data"
    )
    parser.add_argument("--host", metavar="HOST", help="address to listen on; default 127.0.0.1")
    parser.add_argument("--port", metavar="PORT", help="port to listen on, 0 for any free one; default 9092")
    parser.add_argument(
        "-X",
        dest="properties",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a property; repeatable",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="read properties from a file such as Kafka's server.properties"
    )
    parser.add_argument(
        "--memory", action="store_true", help="keep the data in memory and drop it at the end"
    )
    parser.add_argument("--help-config", action="store_true", help="list the properties and exit")
    parser.add_argument(
        "--help-defaults", action="store_true", help="list the defaults that differ from Kafka's and exit"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """`options.started`: time.perf_counter() when the process began. Raises StartupError."""
    if options.help_config or options.help_defaults:
        from logd.config_help import print_page  # noqa: PLC0415 - a page of text that a start does not need

        print_page(differences_only=options.help_defaults)
        return 0
    from logd.serve import ServeOptions, serve  # noqa: PLC0415 - as above, for --help

    chosen = ServeOptions(
        data_dir=options.data_dir,
        host=options.host,
        port=options.port,
        properties=tuple(options.properties),
        config_file=options.config,
        in_memory=options.memory,
    )
    return serve(chosen, started=options.started)

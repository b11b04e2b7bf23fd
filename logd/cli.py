"""The command line: which command, with which options. The commands themselves are modules of their own.

Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly (options, properties), 130 interrupted.
argparse alone, since a command-line framework costs more than the broker has for its whole start.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from logd import __version__
from logd.console import warn
from logd.errors import StartupError

_EXAMPLES = """\
examples:
  logd serve                                   data in ./logd-data, port 9092 of this machine only
  logd serve --data-dir /srv/logd --port 0     any free port; the one it got is printed
  logd serve --memory --port 0                 nothing is kept: for tests
  logd serve --config server.properties        Kafka's own file
  logd serve -X num.partitions=3 -X log.retention.hours=24
  LOGD_NUM_PARTITIONS=3 logd serve             properties from the environment
"""


def run(arguments: Sequence[str], *, started: float) -> int:
    """`started`: time.perf_counter() when the process began. Returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
    except _UsageError as error:
        warn(str(error))
        return 2
    try:
        return _serve(options, started)
    except StartupError as error:
        warn(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _serve(options: argparse.Namespace, started: float) -> int:
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
    return serve(chosen, started=started)


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="logd",
        description="A Kafka-compatible log server.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"logd {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    serve = commands.add_parser(
        "serve",
        help="start a broker",
        description="Start a broker; it runs until SIGTERM or Ctrl-C.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    serve.add_argument(
        "--data-dir", metavar="DIR", help="where the data is kept (log.dirs); default ./logd-data"
    )
    serve.add_argument("--host", metavar="HOST", help="address to listen on; default 127.0.0.1")
    serve.add_argument("--port", metavar="PORT", help="port to listen on, 0 for any free one; default 9092")
    serve.add_argument(
        "-X",
        dest="properties",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a property; repeatable",
    )
    serve.add_argument(
        "--config", metavar="FILE", help="read properties from a file such as Kafka's server.properties"
    )
    serve.add_argument("--memory", action="store_true", help="keep the data in memory and drop it at the end")
    serve.add_argument("--help-config", action="store_true", help="list the properties and exit")
    serve.add_argument(
        "--help-defaults", action="store_true", help="list the defaults that differ from Kafka's and exit"
    )
    return parser

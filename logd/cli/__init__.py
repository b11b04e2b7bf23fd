"""The command line: which command, and how its end is told.

A command is a module of this package: `add_to(commands)` adds its parser, `run(options)` does it and returns the exit
code. Only the module of the command that was asked for is imported, and what that needs for its work only inside
`run`: `logd topic --help` pays nothing for `logd serve`, and the other way round.
argparse alone, since a command-line framework costs more than the broker has for its whole start. Modules that only
read options do not import typing: it takes a fifth of the time in which a help page is there.

Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly (options, properties), 130 interrupted, 141 the
reader of standard output has gone (as a shell reports it of any program that SIGPIPE ended). Whatever ends a command
early is one line on standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from logd import __version__
from logd.cli import output
from logd.cli.errors import CommandError, UsageError
from logd.cli.parser import Parser, examples
from logd.console import discard_output, warn
from logd.errors import UserError

COMMANDS = {
    "serve": "start a broker",
    "topic": "list, describe, create, delete, alter and trim topics",
    "group": "list, describe and delete groups of consumers, and reset their offsets",
    "txn": "list and describe transactions, find those that hang, and abort them",
    "config": "show and change the settings of topics and brokers",
    "cluster": "show the cluster's nodes and what they can do",
    "produce": "write records from standard input or files to a topic",
    "consume": "print the records of topics",
    "bench": "measure a broker: rate and latency of producing and consuming",
    "dump": "look into a data directory, logd's or Kafka's; --verify checks it",
}
"""Each command, the name of its module here, with what `logd --help` says of it."""

_EXAMPLES = """\
  logd serve                                   data in ./logd-data, port 9092 of this machine only
  logd serve --data-dir /srv/logd --port 0     any free port; the one it got is printed
  logd topic create orders --partitions 3      on the broker at 127.0.0.1:9092
  logd topic list -b broker.example:9092       on another; LOGD_BOOTSTRAP names it for all commands
  logd config set topic/orders retention.ms=60000
  echo hello | logd produce orders             then: logd consume orders
  logd COMMAND --help                          options and examples of a command
"""

_INTERRUPTED = 130
_PIPE_CLOSED = 141


def run(arguments: Sequence[str], *, started: float) -> int:
    """`started`: time.perf_counter() when the process began. Returns the exit code."""
    code, failure = _outcome(arguments, started)
    try:
        output.flush()
    except output.ClosedPipe:
        code = code or _PIPE_CLOSED
        discard_output()
    except CommandError as error:
        code, failure = error.exit_code, str(error)
    if failure:
        warn(failure)
    return code


def _outcome(arguments: Sequence[str], started: float) -> tuple[int, str]:
    """The exit code, and what is to be said of a failure."""
    try:
        return _run(arguments, started), ""
    except UserError as error:
        return error.exit_code, str(error)
    except output.ClosedPipe:
        return _PIPE_CLOSED, ""
    except KeyboardInterrupt:
        return _INTERRUPTED, ""


def _run(arguments: Sequence[str], started: float) -> int:
    parser = parser_for(arguments[0] if arguments else "")
    parser.set_defaults(started=started)
    try:
        options = parser.parse_args(arguments)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    code: int = options.run(options)
    return code


def parser_for(first: str) -> Parser:
    """A parser that knows the command `first`, or of every command its name where that is none."""
    parser = Parser(prog="logd", description="A Kafka-compatible log server.", epilog=examples(_EXAMPLES))
    parser.add_argument("--version", action="version", version=f"logd {__version__}")
    if first.startswith("-") and first not in ("-h", "--help", "--version"):
        raise UsageError(f"{first} stands before the command; name the command first, see `logd --help`")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    if first in COMMANDS:
        import_module(f"logd.cli.{first}").add_to(commands)
    else:
        for name, summary in COMMANDS.items():
            commands.add_parser(name, help=summary)
    return parser

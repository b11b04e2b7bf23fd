"""`logd consume`: records of topics to standard output, with kcat's options.

It is no member of a group and keeps no offsets: each run starts where -o says. As kcat, it reads committed records
only, and prints keys and values as the bytes that they are.
"""

from __future__ import annotations

import argparse
from typing import Any

from logd.cli.consume_start import BEGINNING, Start, parse_start
from logd.cli.errors import UsageError
from logd.cli.parser import INT32_MAX, INT64_MAX, Parser, add_command, add_connection_options, whole_number
from logd.cli.record_text import unescape

_EXAMPLES = """\
  logd consume orders                          everything, then what comes; Ctrl-C ends it
  logd consume orders -e                       everything that is there now
  logd consume orders -o -5 -e                 the last five of each partition
  logd consume orders -o end -c 1              the next record
  logd consume orders -p 0 -o 1000 -c 10       ten records of partition 0 from offset 1000 on
  logd consume orders -o s@1767225600000 -o e@1767312000000
                                               by time, in milliseconds since 1970
  logd consume orders -K: -e                   keys, a colon, values
  logd consume orders -f '%t [%p] at %o: %k = %s\\n'
  logd consume orders -e -J | jq .payload      JSON, one object a line

format (-f):
  %s value   %S its size (-1: null)   %R its size as 4 bytes, big-endian
  %k key     %K its size (-1: null)   %h headers, as name=value,name=value
  %t topic   %p partition   %o offset   %T time in milliseconds since 1970   %% a percent sign
  escapes: \\n \\r \\t \\0 \\xHH
"""


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "consume",
        help="print the records of topics",
        description="Print the records of topics, from the beginning on, and go on as more are written.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("topics", metavar="TOPIC", nargs="+")
    add_connection_options(parser)
    _add_range_options(parser)
    _add_output_options(parser)
    parser.set_defaults(run=run)


def _add_range_options(parser: Parser) -> None:
    parser.add_argument(
        "-o",
        "--offset",
        dest="starts",
        metavar="WHERE",
        type=parse_start,
        action="append",
        default=[],
        help="start at: beginning (default), end, an offset, -COUNT before the end, s@TIME; e@TIME stops before it",
    )
    parser.add_argument(
        "-p", "--partition", metavar="N", type=whole_number(0, INT32_MAX), help="default: all"
    )
    parser.add_argument(
        "-c", "--count", metavar="N", type=whole_number(1, INT64_MAX), help="stop after N records"
    )
    parser.add_argument(
        "-e", "--exit", action="store_true", help="stop at the end of the partitions as they are at the start"
    )
    parser.add_argument(
        "--isolation",
        choices=("read_committed", "read_uncommitted"),
        metavar="LEVEL",
        default="read_committed",
        help="read_committed (default) leaves out open and aborted transactions, read_uncommitted does not",
    )


def _add_output_options(parser: Parser) -> None:
    parser.add_argument("-f", "--format", metavar="FORMAT", help="see below; -K and -D do not count then")
    parser.add_argument(
        "-D", "--delimiter", metavar="DELIM", type=unescape, help="printed after each record; default \\n"
    )
    parser.add_argument(
        "-K",
        "--key-delimiter",
        metavar="DELIM",
        type=unescape,
        help="print the key and this before each value",
    )
    parser.add_argument("-J", "--json", action="store_true", help="print each record as a JSON object")
    parser.add_argument("-Z", "--null", action="store_true", help="print NULL for null keys and values")
    parser.add_argument("-q", "--quiet", action="store_true", help="do not tell when the end is reached")
    parser.add_argument(
        "-u", "--unbuffered", action="store_true", help="taken for kcat's sake; records are never held back"
    )


def run(options: argparse.Namespace) -> int:
    start, until_ms = _range(options.starts)
    if options.json and (options.format is not None or options.key_delimiter is not None):
        raise UsageError("-J excludes -f and -K", "choose one")
    from logd.cli.connection import run_with_client  # noqa: PLC0415 - --help needs none of it
    from logd.cli.consume_run import ConsumeRun  # noqa: PLC0415 - as above

    work = ConsumeRun(options, start, until_ms)
    return run_with_client(options, work.run, client_id="logd-consume")


def _range(given: list[Start]) -> tuple[Start, int | None]:
    """Where to start, and the time to stop at, out of the values of -o; the last of each kind counts."""
    start = BEGINNING
    until_ms = None
    for each in given:
        if each.kind == "until_time":
            until_ms = each.number
        else:
            start = each
    return start, until_ms

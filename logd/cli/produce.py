"""`logd produce`: records from standard input or files into a topic, with kcat's options.

Lines are records, empty ones too. A missing topic is created with --create only, whatever the broker's
auto.create.topics.enable says: a typing error should not become a topic.
"""

from __future__ import annotations

import argparse

from logd.cli.errors import UsageError
from logd.cli.parser import INT32_MAX, Parser, add_command, add_connection_options, whole_number
from logd.cli.record_text import delimiter, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_EXAMPLES = """\
  logd produce orders -K: < orders.txt         lines such as "id:text", keyed by what stands before the colon
  echo hello | logd produce greetings          one record
  logd produce orders -l orders.txt -z zstd    the lines of a file, compressed
  logd produce pictures -k cat -H type=png cat.png
                                               a whole file as one record, with key and header
  echo id: | logd produce orders -K: -Z        a tombstone: the empty value becomes null
  logd consume orders -e -J | logd produce copy -J --create
                                               copies keys, values, headers and times
"""

_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_ACKS = {"0": 0, "1": 1, "all": -1, "-1": -1}


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "produce",
        help="write records from standard input or files to a topic",
        description="Write each line of standard input to a topic as a record. With FILEs: each file as one record.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("topic", metavar="TOPIC")
    parser.add_argument(
        "files", metavar="FILE", nargs="*", default=[], help="read these; - is standard input"
    )
    add_connection_options(parser)
    _add_input_options(parser)
    _add_record_options(parser)
    parser.set_defaults(run=run)


def _add_input_options(parser: Parser) -> None:
    parser.add_argument(
        "-l", "--lines", action="store_true", help="the lines of the FILEs are records, not the FILEs"
    )
    parser.add_argument(
        "-D",
        "--delimiter",
        metavar="DELIM",
        type=delimiter,
        help="what ends a record; default \\n; escapes: \\n \\r \\t \\0 \\xHH",
    )
    parser.add_argument(
        "-K",
        "--key-delimiter",
        metavar="DELIM",
        type=delimiter,
        help="what ends the key at the start of a record; one without it has no key",
    )
    parser.add_argument(
        "-J", "--json", action="store_true", help="lines are envelopes as `logd consume -J` prints them"
    )


def _add_record_options(parser: Parser) -> None:
    parser.add_argument(
        "-k", "--key", metavar="KEY", type=unescape, help="the key of records without one of their own"
    )
    parser.add_argument(
        "-H",
        "--header",
        dest="headers",
        metavar="NAME=VALUE",
        type=_header,
        action="append",
        default=[],
        help="add a header to every record; NAME alone: with a null value; repeatable",
    )
    parser.add_argument(
        "-Z", "--null", action="store_true", help="empty values, and empty keys of -K, are null"
    )
    parser.add_argument(
        "-p",
        "--partition",
        metavar="N",
        type=whole_number(0, INT32_MAX),
        help="default: by key as Kafka's clients do; without key any, one batch after the other",
    )
    parser.add_argument(
        "-z", "--compression", metavar="CODEC", choices=_CODECS, default="none", help=", ".join(_CODECS)
    )
    parser.add_argument(
        "--acks",
        choices=tuple(_ACKS),
        metavar="0|1|all",
        default="all",
        help="who must have a record before it counts as written; all (default) also stores it once only, "
        "however often it has to be sent",
    )
    parser.add_argument("--create", action="store_true", help="create the topic when it is missing")


def run(options: argparse.Namespace) -> int:
    _check(options)
    from logd.cli.connection import run_with_client  # noqa: PLC0415 - --help needs none of it
    from logd.cli.produce_run import ProduceRun  # noqa: PLC0415 - as above

    with ProduceRun(options, _ACKS[options.acks]) as work:
        return run_with_client(options, work.run, client_id="logd-produce")


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that contradict each other."""
    if options.lines and not options.files:
        raise UsageError("-l is about FILEs", "name some, or leave -l out to read standard input")
    if options.files and not options.lines:
        for given, name in ((options.delimiter, "-D"), (options.key_delimiter, "-K"), (options.json, "-J")):
            if given:
                raise UsageError(
                    f"{name} is about lines, but each FILE is one record", "add -l to send their lines"
                )
    if options.json:
        for given, name in (
            (options.key_delimiter is not None, "-K"),
            (options.key is not None, "-k"),
            (options.headers, "-H"),
            (options.null, "-Z"),
        ):
            if given:
                raise UsageError(f"-J excludes {name}: an envelope says itself what is in its record")


def _header(text: str) -> tuple[str, bytes | None]:
    name, equals, value = text.partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{name!a}: the name of a header is UTF-8") from None
    return name, unescape(value) if equals else None

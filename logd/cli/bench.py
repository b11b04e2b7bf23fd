"""`logd bench`: its actions and their options. What each does is a module of its own, bench_<action>."""

from __future__ import annotations

import argparse

from logd.cli.errors import UsageError
from logd.cli.parser import (
    INT32_MAX,
    Parser,
    add_actions,
    add_client_options,
    add_command,
    run_action,
    seconds,
    whole_number,
)

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any

_PRODUCE = """\
  logd bench produce                         as fast as it goes, batches of 16 KB as clients make them
  logd bench produce --batch-size 131072 --connections 8 --partitions 8
  logd bench produce --rate 20000            20,000 records a second: what do they wait?
  logd bench produce --broker-pid 4711 -J    with the CPU that the broker takes
"""
_CONSUME = """\
  logd bench consume                         of a topic that is filled first, from the page cache
  logd bench consume --topic orders --connections 8
"""
_LATENCY = """\
  logd bench latency                         one record of 1 KB every millisecond, until a consumer has it
  logd bench latency --rate 100 --record-size 100 --duration 60
"""
_CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_RECORD_BYTES_MAX = 64 << 20
_BATCH_BYTES_MAX = 64 << 20
_OF_OWN_TOPIC = ("partitions", "replication_factor", "fill")

ACKS = {"0": 0, "1": 1, "all": -1, "-1": -1}


def add_to(commands: Any) -> None:
    parser = add_command(
        commands,
        "bench",
        help="measure a broker: rate and latency of producing and consuming",
        description="Put load on a broker and measure it. The load is built beforehand and sent over plain sockets: "
        "the figures are the broker's, not a client library's.",
        epilog="  logd bench produce\n  logd bench consume\n  logd bench latency\n",
    )
    parser.set_defaults(run=run)
    actions = add_actions(parser)
    for add in (_add_produce, _add_consume, _add_latency):
        add(actions)


def run(options: argparse.Namespace) -> int:
    _check(options)
    return run_action("bench", options.action, options)


def _add_produce(actions: Any) -> None:
    parser = add_command(
        actions,
        "produce",
        help="how fast records can be written, or how long they wait at a rate",
        description="Write to a topic of its own, which is deleted afterwards, or to --topic. Latency is from when a "
        "request was due until its answer; with --rate a stall counts for everyone who would have come meanwhile.",
        epilog=_PRODUCE,
    )
    _add_topic_options(parser)
    _add_connection_count(parser)
    parser.add_argument(
        "--in-flight",
        metavar="N",
        type=whole_number(1, 10_000),
        default=5,
        help="requests in flight on each connection; default 5",
    )
    _add_record_size(parser)
    parser.add_argument(
        "--batch-size",
        metavar="BYTES",
        type=whole_number(1, _BATCH_BYTES_MAX),
        default=16_384,
        help="of a batch before compression; one batch a request; default 16384",
    )
    parser.add_argument(
        "-z", "--compression", metavar="CODEC", choices=_CODECS, default="none", help=", ".join(_CODECS)
    )
    parser.add_argument("--acks", choices=tuple(ACKS), metavar="0|1|all", default="all", help="default all")
    parser.add_argument(
        "--rate",
        metavar="RECORDS",
        type=whole_number(1, 1_000_000_000),
        help="records a second in all; as many as it takes when not given",
    )
    _add_run_options(parser)


def _add_consume(actions: Any) -> None:
    parser = add_command(
        actions,
        "consume",
        help="how fast records can be read",
        description="Read a topic over and over: one of its own, which is filled first and deleted afterwards, or "
        "--topic. Bytes are those of batches as they are stored.",
        epilog=_CONSUME,
    )
    _add_topic_options(parser)
    _add_connection_count(parser)
    parser.add_argument(
        "--fetch-size",
        metavar="BYTES",
        type=whole_number(1, 1 << 30),
        default=1 << 20,
        help="most bytes of a request; default 1048576, as in Kafka's consumer",
    )
    parser.add_argument(
        "--fill",
        metavar="MIB",
        type=whole_number(1, 1 << 20),
        help="fill the topic of its own with so many MiB of 1 KB records in batches of 128 KB; default 256",
    )
    _add_run_options(parser)


def _add_latency(actions: Any) -> None:
    parser = add_command(
        actions,
        "latency",
        help="how long a record takes from producer to consumer",
        description="Write records one by one at a rate, and wait for each on another connection, which always has a "
        "fetch open. Two latencies: until the record is acknowledged, and until the consumer has it.",
        epilog=_LATENCY,
    )
    _add_topic_options(parser, has_partitions=False)
    _add_record_size(parser)
    parser.add_argument(
        "--acks", choices=("1", "all", "-1"), metavar="1|all", default="all", help="default all"
    )
    parser.add_argument(
        "--rate",
        metavar="RECORDS",
        type=whole_number(1, 1_000_000),
        default=1000,
        help="records a second; default 1000",
    )
    _add_run_options(parser)


def _add_topic_options(parser: Parser, *, has_partitions: bool = True) -> None:
    parser.add_argument(
        "--topic", metavar="TOPIC", help="use this topic, which must exist, and leave it there"
    )
    if has_partitions:
        parser.add_argument(
            "--partitions",
            metavar="N",
            type=whole_number(1, INT32_MAX),
            help="of the topic of its own; default 1",
        )
    parser.add_argument(
        "--replication-factor",
        metavar="N",
        type=whole_number(1, 32_767),
        help="of the topic of its own; default: the broker's",
    )


def _add_connection_count(parser: Parser) -> None:
    parser.add_argument(
        "--connections",
        metavar="N",
        type=whole_number(1, 10_000),
        default=4,
        help="connections that share the work; default 4",
    )


def _add_record_size(parser: Parser) -> None:
    parser.add_argument(
        "--record-size",
        metavar="BYTES",
        type=whole_number(1, _RECORD_BYTES_MAX),
        default=1024,
        help="of a record's value; there are no keys; default 1024",
    )


def _add_run_options(parser: Parser) -> None:
    parser.add_argument(
        "--duration", metavar="SECONDS", type=seconds, default=10.0, help="of what is measured; default 10"
    )
    parser.add_argument(
        "--warm-up",
        metavar="SECONDS",
        type=_seconds_or_none,
        default=2.0,
        help="before that, not counted; default 2, 0 for none",
    )
    parser.add_argument(
        "--broker-pid",
        metavar="PID",
        type=whole_number(1, INT32_MAX),
        help="the broker's process on this machine: its CPU time is told, too",
    )
    add_client_options(parser)


def _seconds_or_none(text: str) -> float:
    return 0.0 if text.strip() in ("0", "0.0") else seconds(text)


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that contradict each other, or a process that is not there."""
    if options.topic is not None:
        for name in _OF_OWN_TOPIC:
            if getattr(options, name, None) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} is about a topic of its own, but --topic is given"
                )
    if options.broker_pid is not None:
        from logd.load.process_cost import cpu_seconds  # noqa: PLC0415 - --help needs none of it

        try:
            cpu_seconds(options.broker_pid)
        except OSError:
            raise UsageError(f"--broker-pid: there is no process {options.broker_pid} to be seen") from None

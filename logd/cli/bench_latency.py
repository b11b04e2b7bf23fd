"""`logd bench latency`."""

from __future__ import annotations

import argparse

from logd.cli.bench import ACKS
from logd.cli.bench_report import report
from logd.cli.bench_run import cpu_of, measure, told, topic_for
from logd.cli.bench_topic import Place, offsets
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.end_to_end import EndToEnd, Writer, reader
from logd.load.failures import LoadFailed
from logd.load.pace import FixedRate
from logd.load.run import Run

_IN_FLIGHT = 1000
"""Requests of one record that may wait in the socket during a stall; more wait here, and are counted all the same."""


def run(options: argparse.Namespace) -> int:
    end_to_end = EndToEnd()
    with topic_for(options, partitions=1) as place:
        figures = measure(options, _run(options, place, end_to_end))
        settings = {
            "topic": place.topic,
            "partition": place.partitions[0],
            "acks": "all" if ACKS[options.acks] < 0 else options.acks,
            "record_bytes": options.record_size,
            "rate": options.rate,
        }
        latencies = {"ACKNOWLEDGED": figures.latency, "RECEIVED": end_to_end.taken}
        return report(options, settings, figures, latencies, at_a_rate=True)


def _run(options: argparse.Namespace, place: Place, end_to_end: EndToEnd) -> Run:
    partition = place.partitions[0]
    (address,) = (each for each, led in place.by_leader.items() if partition in led)
    _, end = offsets(options, Place(place.topic, {address: [partition]}))[partition]
    tally = Tally()
    writer = Writer(
        place.topic,
        [partition],
        batch_of(1, options.record_size),
        tally,
        acks=ACKS[options.acks],
        room=_IN_FLIGHT,
        timeout_ms=int(options.timeout * 1000),
    )
    writer.readers = [end_to_end]
    try:
        return Run(
            [(address, writer)],
            FixedRate(options.rate),
            tally,
            listeners=[(address, reader(place.topic, partition, end, end_to_end))],
            settled=lambda: not end_to_end.waiting,
            end_to_end=end_to_end.taken,
            timeout_s=options.timeout,
            cpu=cpu_of(options),
        )
    except LoadFailed as error:
        raise told(error) from None

"""`logd bench produce`."""

from __future__ import annotations

import argparse

from logd.cli.bench import ACKS
from logd.cli.bench_report import report
from logd.cli.bench_run import cpu_of, measure, told, topic_for
from logd.cli.bench_topic import Place
from logd.load.batches import Batch, batch_of, records_that_fit
from logd.load.conversation import Tally
from logd.load.failures import LoadFailed
from logd.load.pace import FixedRate, Pace, Saturating
from logd.load.produce import ProduceConversation
from logd.load.run import Run
from protocol.compression import Codec


def run(options: argparse.Namespace) -> int:
    records = records_that_fit(options.batch_size, options.record_size)
    batch = batch_of(records, options.record_size, Codec[options.compression.upper()])
    at_a_rate = options.rate is not None
    pace: Pace = FixedRate(options.rate / batch.records) if at_a_rate else Saturating()
    with topic_for(options, partitions=options.partitions or 1) as place:
        figures = measure(options, _run(options, place, batch, pace))
        latencies = {"LATENCY": figures.latency} if ACKS[options.acks] else {}
        settings = _settings(options, place, batch)
        return report(options, settings, figures, latencies, at_a_rate=at_a_rate)


def _run(options: argparse.Namespace, place: Place, batch: Batch, pace: Pace) -> Run:
    tally = Tally()
    routes = [
        (
            address,
            ProduceConversation(
                place.topic,
                partitions,
                batch,
                tally,
                acks=ACKS[options.acks],
                room=options.in_flight,
                timeout_ms=int(options.timeout * 1000),
            ),
        )
        for address, partitions in place.shares(options.connections)
    ]
    try:
        return Run(routes, pace, tally, timeout_s=options.timeout, cpu=cpu_of(options))
    except LoadFailed as error:
        raise told(error) from None


def _settings(options: argparse.Namespace, place: Place, batch: Batch) -> dict[str, object]:
    return {
        "topic": place.topic,
        "partitions": len(place.partitions),
        "connections": options.connections,
        "in_flight": options.in_flight,
        "acks": "all" if ACKS[options.acks] < 0 else options.acks,
        "record_bytes": options.record_size,
        "batch_records": batch.records,
        "batch_bytes": len(batch.encoded),
        "compression": options.compression,
        "rate": options.rate,
    }

"""`logd bench consume`."""

from __future__ import annotations

import argparse

from logd.cli.bench_report import report
from logd.cli.bench_run import cpu_of, fill, measure, told, topic_for
from logd.cli.bench_topic import Place, offsets
from logd.cli.errors import CommandError
from logd.load.batches import batch_of, records_that_fit
from logd.load.conversation import Tally
from logd.load.failures import LoadFailed
from logd.load.fetch import FetchConversation, Stretch
from logd.load.pace import Saturating
from logd.load.produce import ProduceConversation
from logd.load.run import Route, Run

_FILL_MIB = 256
_FILL_BATCH_BYTES = 128 * 1024
_FILL_RECORD_BYTES = 1024
_FILL_IN_FLIGHT = 5


def run(options: argparse.Namespace) -> int:
    with topic_for(options, partitions=options.partitions or 1) as place:
        if options.topic is None:
            _fill(options, place)
        figures = measure(options, _run(options, place))
        settings = {
            "topic": place.topic,
            "partitions": len(place.partitions),
            "connections": options.connections,
            "fetch_bytes": options.fetch_size,
        }
        return report(options, settings, figures, {"LATENCY": figures.latency}, at_a_rate=False)


def _fill(options: argparse.Namespace, place: Place) -> None:
    records = records_that_fit(_FILL_BATCH_BYTES, _FILL_RECORD_BYTES)
    batch = batch_of(records, _FILL_RECORD_BYTES)
    wanted = (options.fill or _FILL_MIB) << 20
    tally = Tally()
    routes: list[Route] = [
        (address, ProduceConversation(place.topic, partitions, batch, tally, room=_FILL_IN_FLIGHT))
        for address, partitions in place.shares(options.connections)
    ]
    # Every connection, and so every partition, gets something.
    requests = max(-(-wanted // len(batch.encoded)), len(routes), len(place.partitions))
    fill(_connected(routes, tally, options, Saturating(requests), with_cpu=False), wanted)


def _run(options: argparse.Namespace, place: Place) -> Run:
    bounds = offsets(options, place)
    filled = {partition for partition, (start, end) in bounds.items() if end > start}
    if not filled:
        raise CommandError(f"topic {place.topic} has no records", "leave --topic out to fill one")
    by_leader = {
        address: led
        for address, partitions in place.by_leader.items()
        if (led := [each for each in partitions if each in filled])
    }
    tally = Tally()
    routes: list[Route] = []
    for address, partitions in Place(place.topic, by_leader).shares(options.connections):
        stretches = [Stretch(each, *bounds[each]) for each in partitions]
        routes.append(
            (address, FetchConversation(place.topic, stretches, tally, bytes_max=options.fetch_size))
        )
    return _connected(routes, tally, options, Saturating(), with_cpu=True)


def _connected(
    routes: list[Route], tally: Tally, options: argparse.Namespace, pace: Saturating, *, with_cpu: bool
) -> Run:
    cpu = cpu_of(options) if with_cpu else None
    try:
        return Run(routes, pace, tally, timeout_s=options.timeout, cpu=cpu)
    except LoadFailed as error:
        raise told(error) from None

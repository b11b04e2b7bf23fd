"""Load that a JVM needs before it is measured: its code is compiled while it runs, so its first requests cost most.

With one round before, Kafka's figures still fell by half over the five that counted. A gigabyte and a half in batches
of 16 KB, 15 records in each, sent by logd/load before anything is measured, takes a few seconds; then follows a round
or more of the scenario's own load. Targets that are not compiled while they run need none of it.
"""

from __future__ import annotations

from bench.clients.wire import Connection, create_topic, delete_topic
from bench.targets.registry import Running, address_of
from logd.load.batches import batch_of
from logd.load.conversation import Tally
from logd.load.pace import Saturating
from logd.load.produce import ProduceConversation
from logd.load.run import Run

JVMS = ("kafka",)
"""Targets that need it."""
_TOPIC = "warm-up"
_PARTITIONS = 8
_IN_FLIGHT = 5
_BYTES = 1_500_000_000
_SECONDS_MAX = 20.0
"""On a slow machine that many bytes would take too long."""


def warm_up(target: Running) -> None:
    """Produce as much as there is time for; the topic is gone afterwards."""
    connection = Connection(target.bootstrap)
    create_topic(connection, _TOPIC, {"file.delete.delay.ms": "1000"}, _PARTITIONS)
    tally, batch = Tally(), batch_of(15, 1024)
    run = Run(
        [
            (address_of(target), ProduceConversation(_TOPIC, [partition], batch, tally, room=_IN_FLIGHT))
            for partition in range(_PARTITIONS)
        ],
        Saturating(),
        tally,
    )

    def look(run: Run) -> None:
        run.stopped = tally.payload_bytes >= _BYTES

    try:
        run.go(_SECONDS_MAX, progress=look)
    finally:
        run.close()
        delete_topic(connection, _TOPIC)
        connection.close()

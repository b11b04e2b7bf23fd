"""S10: from making a consumer to its first record, on a broker that has served groups before.

    python -m bench run S10

confluent-kafka with its defaults but for auto.offset.reset=earliest, one member, a topic of one partition that holds
one record; with each protocol, in a new group and in one that has committed an offset. Kafka has logd's default
of group.initial.rebalance.delay.ms, 0: with its own a classic group first waits 3 s for more members.

librdkafka 2.16 waits by itself, whatever the broker does; `remark` below says where. What is above that is the broker's
and the network's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import count
from typing import Any, ClassVar

from confluent_kafka import Consumer, TopicPartition

from bench.clients.wire import Connection, check_produced, create_topic, produce_frame
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.spread import percentile
from bench.targets.registry import Running
from logd.load.batches import batch_of

_TOPIC = "s10"
_RECORD_BYTES = 100
_TIMEOUT_S = 30


class GroupStart(OneByOne):
    name = "S10"
    title = "a consumer in a group: start to first record"
    targets = ("kafka", "logd")
    warm_ups = 2
    writes = False
    metrics: ClassVar[Mapping[str, Metric]] = {
        "classic_new_ms": Metric("classic, new group, p50", "ms", 1),
        "classic_known_ms": Metric("classic, with offsets, p50", "ms", 1),
        "consumer_new_ms": Metric("consumer, new group, p50", "ms", 1),
        "consumer_known_ms": Metric("consumer, with offsets, p50", "ms", 1),
    }

    remark = """\
Where the time of a classic, new group goes, from librdkafka's own log (`debug=cgrp,protocol,broker,metadata`):

| ms | what | whose |
|---|---|---|
| 50 | it closes the bootstrap connection, then opens none for half of `reconnect.backoff.ms` | client |
| 100 | without a committed offset it waits before ListOffsets; no setting that was tried changes it | client |
| 3–5 | 16 requests over 3 connections, most one after the other; the broker holds none back | both |

The requests: 3 ApiVersions, 4 Metadata, 2 FindCoordinator, 2 JoinGroup (the first is told its member id), SyncGroup,
Heartbeat, OffsetFetch, ListOffsets, Fetch. A broker that answered in no time would be at 150, too. Now and then
there is no first wait, since two threads of the client race for whether the coordinator's connection is asked for the
topic: 104 ms. With `reconnect.backoff.ms=10` it is 11 ms. With a committed offset there is no second wait,
with the consumer protocol no first."""

    _groups: ClassVar[count[int]] = count()

    def settings(self) -> Mapping[str, object]:
        return {"consumers_per_round": self._consumers()}

    def prepare(self, name: str, target: Running) -> None:
        connection = Connection(target.bootstrap)
        create_topic(connection, _TOPIC)
        frame = produce_frame(_TOPIC, batch_of(1, _RECORD_BYTES).encoded)
        check_produced(connection, connection.exchange(frame), _TOPIC)
        connection.close()

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        metrics = {}
        for protocol in ("classic", "consumer"):
            for kind in ("new", "known"):
                taken = []
                for _ in range(self._consumers()):
                    settings = self._settings(target.bootstrap, protocol)
                    if kind == "known":
                        _commit(settings)
                    taken.append(_first_record(settings))
                metrics[f"{protocol}_{kind}_ms"] = percentile(taken, 0.5) / 1e6
        return metrics

    def _settings(self, bootstrap: str, protocol: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": bootstrap,
            "group.id": f"s10-{next(self._groups)}",
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
        }

    def _consumers(self) -> int:
        return 2 if self.options.quick else 10


def _commit(settings: Mapping[str, Any]) -> None:
    """Let the group be one that has read nothing yet, and committed that."""
    consumer = Consumer({**settings, "group.protocol": "classic"})
    consumer.commit(offsets=[TopicPartition(_TOPIC, 0, 0)], asynchronous=False)
    consumer.close()


def _first_record(settings: Mapping[str, Any]) -> int:
    """Nanoseconds from making the consumer to holding a record."""
    deadline = time.monotonic() + _TIMEOUT_S
    started = time.perf_counter_ns()
    consumer = Consumer(dict(settings))
    consumer.subscribe([_TOPIC])
    while (message := consumer.poll(1)) is None or message.error() is not None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no record within {_TIMEOUT_S} s")
    taken = time.perf_counter_ns() - started
    consumer.close()
    return taken

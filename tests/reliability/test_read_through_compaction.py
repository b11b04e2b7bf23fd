"""Goal: whoever reads a topic from its start while it is compacted misses nothing, meets nothing twice, sees no error.

Method: a broker whose segments hold a few batches and which compacts all the time; a producer that writes some keys
over and over and many others now and then; consumers of two kinds that read from offset 0 to the end, again and again,
a few records a fetch, so that nearly every read goes through several swaps of segments. Each read is compared with what
was written: every record as it went in, offsets ascending, and of each key the newest record, unless a newer one lies
beyond the read's end.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka import TopicPartition as Place
from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPythonPlace

from logd.cli.parser import addresses
from logd.clients.cluster_client import ClusterClient
from tests.support.broker import LogdBroker
from tests.support.patience import PATIENCE_S

TOPIC = "table"
CONFIGS = {
    "cleanup.policy": "compact",
    "internal.segment.bytes": "6000",
    "min.cleanable.dirty.ratio": "0.01",
    "flush.messages": "1",
    "file.delete.delay.ms": "200",
    "compression.type": "producer",
}
HOT = [b"hot %d" % number for number in range(8)]
COLD = [b"cold %d" % number for number in range(150)]
FETCH_BYTES = 1500
_SWAPPED = re.compile(r"compacted topic=table .* segments=(\d+)")

Read = list[tuple[int, bytes, bytes]]
"""Offset, key, value of each record."""


class Writer:
    """Writes until it is stopped. Of what is acknowledged it keeps everything."""

    def __init__(self, bootstrap: str) -> None:
        self.written: dict[int, tuple[bytes, bytes]] = {}
        self.offsets: dict[bytes, list[int]] = defaultdict(list)
        """Of each key, in order."""
        self.rounds = 0
        self.failure: object = None
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "all"})
        self._choose = random.Random(5)
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Writer:
        for first in range(0, len(COLD), 10):
            self._write(COLD[first : first + 10])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def catch_up(self) -> None:
        """Waits until all is known here that the broker has by now."""
        with self._changed:
            due = self.rounds + 2
            assert self._changed.wait_for(lambda: self.rounds >= due or self.failure, PATIENCE_S)

    def _run(self) -> None:
        while not self._stop.is_set():
            keys = self._choose.choices(HOT, k=10) + self._choose.sample(COLD, 2)
            self._write(keys)
            if self.failure:
                return

    def _write(self, keys: list[bytes]) -> None:
        for key in keys:
            value = self._choose.randbytes(20).hex().encode()
            self._producer.produce(TOPIC, value, key, partition=0, on_delivery=self._delivered)
        left = self._producer.flush(PATIENCE_S)
        with self._changed:
            self.rounds += 1
            self.failure = self.failure or left
            self._changed.notify_all()

    def _delivered(self, error: object, message: Message) -> None:
        offset, key, value = message.offset(), message.key(), message.value()
        if error is not None:
            self.failure = error
            return
        assert offset is not None and key is not None and value is not None
        self.offsets[key].append(offset)
        self.written[offset] = (key, value)


class Confluent:
    """`read` reads from offset 0 to where the log ended when it began, or a little further."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "readers",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.message.max.bytes": FETCH_BYTES,
                "fetch.wait.max.ms": 10,
                "queued.min.messages": 1,
                "fetch.queue.backoff.ms": 1,
            }
        )

    def read(self) -> Read:
        _, end = self._consumer.get_watermark_offsets(Place(TOPIC, 0), PATIENCE_S)
        self._consumer.assign([Place(TOPIC, 0, 0)])
        found: Read = []
        while not found or found[-1][0] < end - 1:
            message = self._consumer.poll(PATIENCE_S)
            assert message is not None, "nothing comes any more"
            assert message.error() is None, message.error()
            found.append((message.offset(), message.key(), message.value()))  # type: ignore[arg-type]
        return found

    def close(self) -> None:
        self._consumer.close()


class KafkaPython:
    """As `Confluent`, over a socket of its own making."""

    def __init__(self, bootstrap: str) -> None:
        self._place = KafkaPythonPlace(TOPIC, 0)
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_wait_ms=10,
        )
        self._consumer.assign([self._place])

    def read(self) -> Read:
        end = self._consumer.end_offsets([self._place])[self._place]
        self._consumer.seek(self._place, 0)
        found: Read = []
        deadline = time.monotonic() + PATIENCE_S
        while not found or found[-1][0] < end - 1:
            assert time.monotonic() < deadline, "nothing comes any more"
            for records in self._consumer.poll(timeout_ms=1000).values():
                found += [(record.offset, record.key, record.value) for record in records]
        return found

    def close(self) -> None:
        self._consumer.close()


class Checked:
    """A consumer in a thread of its own that reads until it is stopped."""

    def __init__(self, kind: type[Confluent | KafkaPython], bootstrap: str, writer: Writer) -> None:
        self.reads = 0
        self.failure: BaseException | None = None
        self._kind = kind
        self._bootstrap = bootstrap
        self._writer = writer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(2 * PATIENCE_S)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        reader = self._kind(self._bootstrap)
        try:
            while not self._stop.is_set():
                found = reader.read()
                self._writer.catch_up()
                check(found, self._writer)
                self.reads += 1
        except BaseException as error:  # raised again where the test waits
            self.failure = error
        finally:
            reader.close()


def check(found: Read, writer: Writer) -> None:
    offsets = [offset for offset, _, _ in found]
    assert all(before < after for before, after in pairwise(offsets)), offsets
    for offset, key, value in found:
        assert writer.written[offset] == (key, value), offset
    there, end = set(offsets), offsets[-1] + 1
    for key in (*HOT, *COLD):
        written = writer.offsets[key]
        below = bisect_left(written, end)
        if below and below == len(written):  # none lies beyond the end, which might be why the last one went
            assert written[-1] in there, f"{key!r}: {written[-1]} is missing below {end}"


def swaps(broker: LogdBroker) -> int:
    return sum(map(int, _SWAPPED.findall(broker.output())))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LogdBroker]:
    with LogdBroker(tmp_path, properties={"log.cleaner.backoff.ms": "1"}) as running:
        yield running


@pytest.mark.timeout(1_500)
@pytest.mark.parametrize(
    "count", [60, pytest.param(1000, marks=pytest.mark.full)], ids=["everyday", "acceptance"]
)
def test_consumers_read_through_swaps(broker: LogdBroker, count: int) -> None:
    async def create() -> None:
        async with await ClusterClient.connect(addresses(broker.bootstrap)) as cluster:
            await cluster.any.create_topic(TOPIC, configs=CONFIGS)

    asyncio.run(create())
    began = time.monotonic()
    with Writer(broker.bootstrap) as writer:
        readers = [Checked(kind, broker.bootstrap, writer) for kind in (Confluent, KafkaPython)]
        while not writer.failure and not any(reader.failure for reader in readers):
            done, reads = swaps(broker), [reader.reads for reader in readers]
            if done >= count and min(reads) >= count / 20:
                break
            assert time.monotonic() - began < count + 4 * PATIENCE_S, f"{done} swaps and {reads} reads only"
            time.sleep(0.2)
        for reader in readers:
            reader.stop()
    assert not writer.failure, writer.failure
    print(f"{done} swaps, reads {[reader.reads for reader in readers]}, {len(writer.written)} records")
    assert all(reader.reads >= count / 20 for reader in readers)
    assert "ERROR" not in broker.output()
    assert "not compacted any more" not in broker.output()

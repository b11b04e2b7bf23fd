"""`make demo-log`: a broker on real data. Load, read back, compare byte for byte, then serve on.

Every line of the installed Python library, repeated to at least a million records, is produced by confluent-kafka and
read by aiokafka: two clients that share no code. Each partition must hold the same bytes in the same order, at offsets
without a gap.

    make demo-log                                 until Ctrl-C
    make demo-log ARGS='--once --records 100000'  smaller, and stop after the comparison
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

from bench.demo.corpus import read_lines
from bench.demo.load_progress import LoadProgress

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

TOPIC = "python-lines"
PARTITIONS = 4
_RUN_LENGTH = 1000  # neighbouring records that go to one partition
_DEFAULT_PORT = 9092
_READY = re.compile(r"bootstrap\.servers=(\S+)")
_LAST_LINE = "durability:"  # of what a start says


class Mismatch(Exception):
    """What was read is not what was written."""


class Options(NamedTuple):
    records: int
    once: bool
    port: int | None


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = tempfile.mkdtemp(prefix="logd-run-")
    broker: Broker | None = None
    interrupted = 130
    try:
        broker = Broker(directory, _DEFAULT_PORT if options.port is None else options.port)
        lines = repeat(read_lines(), options.records)
        load(broker.bootstrap, lines)
        asyncio.run(read_back(broker.bootstrap, lines))
        _say(f"same bytes, same order: {len(lines):,} records in {PARTITIONS} partitions")
        if options.once:
            return 0
        interrupted = 0
        _explain(broker.bootstrap)
        return broker.wait()
    except (Mismatch, StartFailed) as error:
        _say(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        _say("stopping")
        return interrupted
    finally:
        if broker is not None:
            broker.stop()
        shutil.rmtree(directory, ignore_errors=True)


class StartFailed(Exception):
    pass


class Broker:
    """`logd serve` as a process of its own, in its own session so that Ctrl-C reaches only this program."""

    def __init__(self, directory: str, port: int) -> None:
        if not _is_free(port):
            _say(f"port {port} is in use, taking another")
            port = 0
        command = [sys.executable, "-m", "logd", "serve", "--data-dir", directory, "--port", str(port)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            self.bootstrap = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def wait(self) -> int:
        """Pass on what the broker says until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            _say(line.rstrip())
        return self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _wait_until_ready(self) -> str:
        assert self._process.stdout is not None
        bootstrap = ""
        for line in self._process.stdout:
            _say(line.rstrip())
            ready = _READY.search(line)
            if ready:
                bootstrap = ready.group(1)
            if bootstrap and line.startswith(_LAST_LINE):
                return bootstrap
        raise StartFailed(f"the broker ended with {self._process.wait()}")


def load(bootstrap: str, lines: Sequence[bytes]) -> None:
    from confluent_kafka import Producer  # noqa: PLC0415 - after the arguments are right
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 - as above
    from confluent_kafka.cimpl import NewTopic  # noqa: PLC0415 - as above

    failures: list[str] = []

    def on_delivery(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(str(error))

    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)])[TOPIC].result(30)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "batch.size": 512 * 1024,
            "queue.buffering.max.messages": 200_000,
            "delivery.report.only.error": True,
            "on_delivery": on_delivery,
        }
    )
    try:
        left = _produce_all(producer, lines)
    except BaseException:
        producer.purge()
        producer.flush(5)
        raise
    if left or failures:
        raise Mismatch(f"{left + len(failures)} records were not acknowledged {failures[:1]}")


def _produce_all(producer: Producer, lines: Sequence[bytes]) -> int:
    """How many records were not acknowledged in time."""
    progress = LoadProgress("write", len(lines))
    size = 0
    for index, line in enumerate(lines):
        _produce(producer, line, partition_of(index))
        size += len(line)
        if index % _RUN_LENGTH == 0:
            producer.poll(0)
            progress.update(index, size)
    left: int = producer.flush(120)
    progress.finish(len(lines), size)
    return left


def _produce(producer: Producer, line: bytes, partition: int) -> None:
    while True:
        try:
            producer.produce(TOPIC, line, partition=partition)
            return
        except BufferError:
            producer.poll(0.05)


async def read_back(bootstrap: str, lines: Sequence[bytes]) -> None:
    """Raises Mismatch."""
    from aiokafka import AIOKafkaConsumer, TopicPartition  # noqa: PLC0415 - after the arguments are right

    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=4 << 20,
        fetch_max_bytes=16 << 20,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        for partition in partitions:
            consumer.seek(partition, 0)
        expected = {partition: lines_of(partition.partition, lines) for partition in partitions}
        offsets = dict.fromkeys(partitions, 0)
        progress = LoadProgress("read", len(lines))
        records = size = 0
        while records < len(lines):
            fetched = await consumer.getmany(timeout_ms=20_000)
            if not fetched:
                raise Mismatch(f"{len(lines) - records:,} records are missing")
            for partition, batch in fetched.items():
                size += compare(partition.partition, batch, expected[partition], offsets[partition])
                offsets[partition] += len(batch)
                records += len(batch)
            progress.update(records, size)
        progress.finish(records, size)
        ends = await consumer.end_offsets(partitions)
        if ends != offsets:
            raise Mismatch(
                f"the partitions end at {sorted(ends.values())}, not at {sorted(offsets.values())}"
            )
    finally:
        await consumer.stop()


def compare(partition: int, batch: Sequence[object], expected: Iterator[bytes], offset: int) -> int:
    """Bytes compared. `offset` is the one that the first record must have."""
    size = 0
    for position, record in enumerate(batch, offset):
        line = next(expected, None)
        if record.offset != position or record.value != line:  # type: ignore[attr-defined]
            raise Mismatch(
                f"partition {partition} offset {position}: wrote {line!r}, "
                f"read {record.value!r} at offset {record.offset}"  # type: ignore[attr-defined]
            )
        size += len(line)  # type: ignore[arg-type]
    return size


def partition_of(index: int) -> int:
    return index // _RUN_LENGTH % PARTITIONS


def lines_of(partition: int, lines: Sequence[bytes]) -> Iterator[bytes]:
    """The lines that went to a partition, in order."""
    for start in range(partition * _RUN_LENGTH, len(lines), PARTITIONS * _RUN_LENGTH):
        yield from lines[start : start + _RUN_LENGTH]


def repeat(lines: list[bytes], at_least: int) -> list[bytes]:
    """The lines, whole, as often as it takes to make at least so many records; fewer only if fewer are asked for."""
    if at_least < len(lines):
        return lines[:at_least]
    times = -(-at_least // len(lines))
    _say(f"{len(lines):,} lines of the Python library, {times} times")
    return list(islice(cycle(lines), times * len(lines)))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _explain(bootstrap: str) -> None:
    _say(f"""
The broker keeps running at {bootstrap}; Ctrl-C stops it and removes its data. To use it:

  python   from kafka import KafkaProducer
           KafkaProducer(bootstrap_servers="{bootstrap}").send("hello", b"world").get()

  kcat     kcat -b {bootstrap} -t {TOPIC} -C -p 0 -o beginning -c 5

  java     kafka-console-producer.sh --bootstrap-server {bootstrap} --topic hello
           kafka-console-consumer.sh --bootstrap-server {bootstrap} --topic {TOPIC} --partition 0 --offset earliest
""")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parse(arguments: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="make demo-log", description="Load, read back, compare, serve on.")
    parser.add_argument("--records", type=int, default=1_000_000, help="at least so many records")
    parser.add_argument("--once", action="store_true", help="stop after the comparison")
    parser.add_argument("--port", type=int, help=f"default {_DEFAULT_PORT}, or any other if that is taken")
    chosen = parser.parse_args(arguments)
    return Options(chosen.records, chosen.once, chosen.port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""One run of `logd produce`: input on one side, delivery on the other, and what is said at the end."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from bisect import bisect_right
from contextlib import ExitStack
from errno import EBADF, EISDIR
from itertools import count, repeat
from typing import TYPE_CHECKING, BinaryIO, cast

from logd.cli import output
from logd.cli.connection import explain
from logd.cli.errors import CommandError
from logd.cli.produce_delivery import TOO_LARGE, Delivery, Settings, Undeliverable
from logd.cli.produce_input import RECORD_BYTES_MAX, RecordSplitter, RecordTooLong, read_chunks
from logd.cli.produce_queue import Entry, ProduceQueue, Run
from logd.cli.record_json import EnvelopeError, read_envelope
from logd.cli.topic_layout import check_partition, partitions_of
from logd.clients.partitioner import Partitioner
from protocol.compression import Codec
from protocol.errors import BrokerError

if TYPE_CHECKING:
    from types import TracebackType

    from logd.clients.cluster_client import ClusterClient

LINGER_S = 0.005
"""How long a batch waits for company, as in Kafka's producer. What is typed at a terminal waits for nothing."""


class ProduceRun:
    """A context manager: opens the input, so that a missing file is told before a broker is asked, and closes it."""

    def __init__(self, options: argparse.Namespace, acks: int) -> None:
        self._options = options
        self._acks = acks
        self._delimiter: bytes = options.delimiter or b"\n"
        self._whole_files: bool = bool(options.files) and not options.lines
        self._read = 0
        self._origins: list[tuple[int, str]] = []  # records read before an input, and its name
        self._files = ExitStack()
        self._inputs: list[tuple[str, BinaryIO]] = []
        self._progress = output.Progress(after_s=output.PROGRESS_AFTER_S)
        self._is_typed = False
        """At a terminal: then nothing is held back, and progress is not in between."""

    def __enter__(self) -> ProduceRun:
        for name in self._options.files or ["-"]:
            try:
                self._inputs.append((name, _standard_input() if name == "-" else self._open(name)))
            except OSError as error:
                raise CommandError(f"cannot read {_shown(name)}: {error.strerror}") from None
        self._is_typed = any(file.isatty() for _, file in self._inputs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    async def run(self, cluster: ClusterClient) -> int:
        """Raises CommandError, BrokerError, OSError."""
        options = self._options
        existing = await partitions_of(
            cluster, options.topic, timeout_s=options.timeout, create=options.create
        )
        if options.partition is not None:
            check_partition(options.topic, options.partition, existing)
        queue = ProduceQueue(Partitioner(len(existing), _draw))
        delivery = Delivery(cluster, queue, self._settings())
        reading = asyncio.create_task(self._read_all(queue, delivery))
        sending = asyncio.create_task(delivery.run())
        try:
            # Where the input fails, what was read before still goes out; where sending fails, reading is pointless.
            await sending
            await reading
        except Undeliverable as error:
            raise self._failure(error, delivery) from None
        except InputError as error:
            written = output.format_count(delivery.acknowledged, "record")
            raise CommandError(f"{error}; {written} written before") from None
        finally:
            reading.cancel()
            sending.cancel()
            await asyncio.gather(reading, sending, return_exceptions=True)
            self._progress.clear()
        return 0

    def _settings(self) -> Settings:
        options = self._options
        return Settings(
            topic=options.topic,
            codec=Codec[options.compression.upper()],
            acks=self._acks,
            linger_s=0.0 if self._is_typed else LINGER_S,
            timeout_s=options.timeout,
        )

    async def _read_all(self, queue: ProduceQueue, delivery: Delivery) -> None:
        """Put everything that the inputs hold into the queue. Raises InputError."""
        try:
            for name, file in self._inputs:
                self._origins.append((self._read, name))
                try:
                    await self._read_one(file, queue, delivery)
                except OSError as error:
                    raise InputError(f"cannot read {_shown(name)}: {error.strerror}") from None
                except RecordTooLong:
                    hint = "no broker takes it" if self._whole_files else "is the delimiter right?"
                    size = f"larger than {RECORD_BYTES_MAX >> 20} MiB"
                    raise InputError(f"{self._describe(self._read + 1)} is {size}: {hint}") from None
        finally:
            delivery.finish()

    async def _read_one(self, file: BinaryIO, queue: ProduceQueue, delivery: Delivery) -> None:
        splitter = RecordSplitter(self._delimiter)
        whole = bytearray()
        async for data in read_chunks(file):
            if self._whole_files:
                whole += data
                if len(whole) > RECORD_BYTES_MAX:
                    raise RecordTooLong
            else:
                await self._add(splitter.feed(data), queue, delivery)
            if self._progress.is_due and not self._is_typed:
                self._progress.show(f"{self._read:,} records read, {delivery.acknowledged:,} written")
        await self._add([bytes(whole)] if self._whole_files else splitter.finish(), queue, delivery)

    async def _add(self, records: list[bytes], queue: ProduceQueue, delivery: Delivery) -> None:
        if not records:
            return
        now_ms = time.time_ns() // 1_000_000
        try:
            if self._options.json:
                self._add_envelopes(records, now_ms, queue)
            else:
                run = Run(now_ms, self._options.headers, self._entries(records))
                queue.add(run, self._options.partition)
                self._read += len(records)
        finally:
            delivery.wake()
        await delivery.room()

    def _entries(self, records: list[bytes]) -> list[Entry]:
        options = self._options
        numbers = count(self._read + 1)
        if options.key_delimiter is not None:
            return list(map(self._keyed, records, numbers))
        values = [record or None for record in records] if options.null else records
        return list(zip(repeat(options.key), values, numbers, strict=False))  # two of them never end

    def _keyed(self, record: bytes, number: int) -> Entry:
        key, found, value = record.partition(self._options.key_delimiter)
        null = self._options.null
        if not found:
            return self._options.key, (record or None) if null else record, number
        return ((key or None), (value or None), number) if null else (key, value, number)

    def _add_envelopes(self, lines: list[bytes], now_ms: int, queue: ProduceQueue) -> None:
        for line in lines:
            try:
                envelope = read_envelope(line)
            except EnvelopeError as error:
                raise InputError(f"{self._describe(self._read + 1)}: {error}") from None
            self._read += 1
            timestamp_ms = now_ms if envelope.timestamp_ms is None else envelope.timestamp_ms
            run = Run(timestamp_ms, envelope.headers, [(envelope.key, envelope.value, self._read)])
            queue.add(run, self._options.partition)

    def _failure(self, error: Undeliverable, delivery: Delivery) -> CommandError:
        where = self._describe(error.number)
        written = f"{output.format_count(delivery.acknowledged, 'record')} written"
        reason = error.reason
        if not isinstance(reason, BrokerError):
            return CommandError(
                f"{str(reason) or 'no answer'}; {written}, {where} is the first that may be missing"
            )
        if reason.code in TOO_LARGE:
            hint = f"raise it with `logd config set topic/{self._options.topic} max.message.bytes=N`"
            return CommandError(f"{where} is larger than the topic's max.message.bytes, {written}", hint)
        return CommandError(f"{where}: {explain(reason)}; {written}")

    def _describe(self, number: int) -> str:
        """Where a record of the input, counted from 1, comes from."""
        place = bisect_right(self._origins, number - 1, key=lambda origin: origin[0]) - 1
        before, name = self._origins[place]
        if self._whole_files:
            return _shown(name)
        kind = "line" if self._delimiter == b"\n" else "record"
        return f"{kind} {number - before}" + ("" if name == "-" else f" of {_shown(name)}")

    def _open(self, name: str) -> BinaryIO:
        if os.path.isdir(name):
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        return cast("BinaryIO", self._files.enter_context(open(name, "rb", buffering=0)))


class InputError(Exception):
    """The input cannot be read, or is not what it should be. One line."""


def _draw(below: int) -> int:
    # The modules secrets and random take longer to load than a short run takes.
    return int.from_bytes(os.urandom(8), "big") % below


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise OSError(EBADF, os.strerror(EBADF))
    return sys.stdin.buffer


def _shown(name: str) -> str:
    return "standard input" if name == "-" else name

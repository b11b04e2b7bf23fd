"""One run of `logd consume`: which partitions, from where to where, and records to standard output."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from logd.cli import output
from logd.cli.consume_fetch import Arrival, Fetcher
from logd.cli.consume_format import NULL_TEXT, FormatError, TextFormat
from logd.cli.consume_start import Bounds, find_stretches
from logd.cli.consumed import Records, Source, read_records
from logd.cli.errors import UsageError
from logd.cli.record_json import JsonFormat
from logd.cli.topic_layout import check_partition, partition_text, partitions_of
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from logd.cli.consume_start import Start
    from logd.clients.cluster_client import ClusterClient


class Format(Protocol):
    """Turns records into what is printed."""

    def render(self, records: Records) -> bytes: ...


class ConsumeRun:
    """Raises UsageError for a format that cannot be read."""

    def __init__(self, options: argparse.Namespace, start: Start, until_ms: int | None) -> None:
        self._options = options
        self._bounds = Bounds(start, until_ms, options.exit, options.isolation == "read_committed")
        self._format = _format(options)
        self._left: int | None = options.count
        self._printed = 0
        self._stopped: set[Source] = set()
        self._progress = output.Progress(after_s=output.PROGRESS_AFTER_S)
        self._tells_end = not options.quiet and sys.stderr is not None and sys.stderr.isatty()
        self._shows_progress = _is_file(sys.stdout)

    async def run(self, cluster: ClusterClient) -> int:
        """Raises CommandError, BrokerError, OSError, output.ClosedPipe."""
        options = self._options
        partitions = await self._partitions(cluster)
        stretches = await find_stretches(cluster, partitions, self._bounds, time.time_ns() // 1_000_000)
        fetcher = Fetcher(
            cluster, stretches, read_committed=self._bounds.read_committed, timeout_s=options.timeout
        )
        arrivals = fetcher.arrivals()
        try:
            async for arrived in arrivals:
                for each in arrived:
                    self._print(each, fetcher)
                    if self._left == 0:
                        return 0
                if self._shows_progress and self._progress.is_due:
                    self._progress.show(f"{self._printed:,} records")
        finally:
            self._progress.clear()
            await arrivals.aclose()
        return 0

    async def _partitions(self, cluster: ClusterClient) -> list[TopicPartition]:
        wanted = self._options.partition
        found = []
        for topic in dict.fromkeys(self._options.topics):
            existing = await partitions_of(cluster, topic, timeout_s=self._options.timeout)
            if wanted is not None:
                check_partition(topic, wanted, existing)
                existing = [wanted]
            found += [TopicPartition(topic, partition) for partition in existing]
        return found

    def _print(self, arrival: Arrival, fetcher: Fetcher) -> None:
        """Write the records of one arrival, and let whoever waits for them have them."""
        source = arrival.source
        for batch in arrival.batches:
            if source in self._stopped or self._left == 0:
                break
            records = read_records(batch, source).between(arrival.start, arrival.end)
            until_ms = self._bounds.until_ms
            if until_ms is not None and max(records.timestamps_ms, default=-1) >= until_ms:
                records = records.before(until_ms)
                self._stopped.add(source)
                fetcher.stop(source.topic_partition)
            if self._left is not None:
                records = records.first(self._left)
                self._left -= records.size
            if records.size:
                output.write_bytes(self._format.render(records))
                self._printed += records.size
        output.flush()
        if arrival.reached_end is not None and self._tells_end:
            self._progress.clear()
            where = partition_text(source.topic_partition)
            sys.stderr.write(f"% Reached end of {where} at offset {arrival.reached_end}\n")
            sys.stderr.flush()


def _is_file(stream: TextIO | None) -> bool:
    """Whether what is printed goes into a file: at a terminal, or in front of a pager, progress would be in the way."""
    try:
        return stream is not None and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return False


def _format(options: argparse.Namespace) -> Format:
    delimiter: bytes = b"\n" if options.delimiter is None else options.delimiter
    if options.json:
        return JsonFormat(delimiter)
    null = NULL_TEXT if options.null else b""
    if options.format is None:
        return TextFormat.delimited(delimiter, options.key_delimiter, null=null)
    try:
        return TextFormat.parse(options.format, null=null)
    except FormatError as error:
        raise UsageError(str(error), "see `logd consume --help`") from None

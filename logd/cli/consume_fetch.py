"""Fetching for `logd consume`: every partition read from its leader, in order, each record once.

One task for each leader fetches all of its partitions with one request, sorts the batches out, and hands them on
through a short queue; so the next answer is on its way while records are printed, and a slow reader of standard
output holds fetching up. A partition's offset moves only when its batches are in the queue. What fails in passing (a
leader that moved, a broker that restarts) is tried again from that offset.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from logd.cli.connection import about
from logd.cli.consumed import Source
from logd.cli.offsets import END, START, list_offsets
from logd.cli.patience import Patience
from logd.cli.topic_layout import partition_text
from logd.clients.cluster_client import broker_error
from logd.console import warn
from protocol.errors import BrokerError, ErrorCode
from protocol.fetched import FetchedBatch, readable_batches
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from logd.cli.consume_start import Stretch
    from logd.clients.cluster_client import ClusterClient
    from protocol.types import Buffer, NodeId, Offset

_PARTITION_BYTES_MAX = 1 << 20
_RESPONSE_BYTES_MAX = 8 << 20
_WAIT_MS = 500
_QUEUED_RESPONSES_MAX = 2
_NAMED_TOPICS_VERSION_MAX = 12  # from 13 on topics have ids only

_Row = FetchResponse.PartitionData


class Arrival(NamedTuple):
    """What one fetch brought for a partition."""

    source: Source
    batches: list[FetchedBatch]
    start: Offset
    """Records before it are not wanted, though the first batch may hold some."""
    end: Offset | None
    """Nor are those from it on."""
    reached_end: Offset | None
    """The end of the partition, when all before it has been handed over with this, and was not before."""


class _Reading:
    """How far one partition has been read."""

    __slots__ = ("at_end", "end", "is_done", "offset")

    def __init__(self, stretch: Stretch) -> None:
        self.offset = stretch.start
        self.end = stretch.end
        self.at_end = False
        self.is_done = False
        self.move(stretch.start)

    def move(self, offset: Offset) -> None:
        self.offset = offset
        self.is_done = self.is_done or (self.end is not None and offset >= self.end)


class Fetcher:
    """Iterate over `arrivals`; `stop` takes a partition out. Ends when no partition is left to read."""

    def __init__(
        self,
        cluster: ClusterClient,
        stretches: Mapping[TopicPartition, Stretch],
        *,
        read_committed: bool,
        timeout_s: float,
    ) -> None:
        """`timeout_s`: how long failures may go on without a single success between them."""
        self._cluster = cluster
        self._readings = {each: _Reading(stretch) for each, stretch in stretches.items()}
        self._read_committed = read_committed
        self._queue: asyncio.Queue[list[Arrival]] = asyncio.Queue(_QUEUED_RESPONSES_MAX)
        self._leaders_changed = False
        self._patience = Patience(cluster, timeout_s)

    def stop(self, partition: TopicPartition) -> None:
        """Read no further there. What was fetched of it before may still arrive."""
        self._readings[partition].is_done = True

    async def arrivals(self) -> AsyncGenerator[list[Arrival], None]:
        """Yield what each fetch brought. Raises BrokerError, OSError when it cannot go on."""
        fetching = asyncio.create_task(self._fetch_all())
        try:
            while not (fetching.done() and self._queue.empty()):
                arrived = asyncio.create_task(self._queue.get())
                await asyncio.wait((arrived, fetching), return_when=asyncio.FIRST_COMPLETED)
                if arrived.done():
                    yield arrived.result()
                else:
                    arrived.cancel()
            fetching.result()
        finally:
            fetching.cancel()

    async def _fetch_all(self) -> None:
        while partitions := [each for each, reading in self._readings.items() if not reading.is_done]:
            by_leader: dict[NodeId, list[TopicPartition]] = defaultdict(list)
            try:
                for each in partitions:
                    by_leader[await self._cluster.leader_id(*each)].append(each)
            except (BrokerError, OSError) as error:
                await self._failed(partitions, error)
                continue
            self._leaders_changed = False
            tasks = [asyncio.create_task(self._fetch_from(leader, led)) for leader, led in by_leader.items()]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

    async def _fetch_from(self, leader: NodeId, partitions: list[TopicPartition]) -> None:
        """Fetch until leaders have to be looked up again, or nothing is left to read there."""
        while not self._leaders_changed:
            partitions = [each for each in partitions if not self._readings[each].is_done]
            if not partitions:
                return
            request = self._request(partitions)
            try:
                client = await self._cluster.node(leader)
                version = min(_NAMED_TOPICS_VERSION_MAX, client.versions[request.API_KEY][1])
                response: FetchResponse = await self._cluster.call_on(client, request, version=version)
                if response.error_code != ErrorCode.NONE:
                    raise broker_error(response.error_code, None)
                served = await self._sort_out(leader, response)
            except (BrokerError, OSError) as error:
                await self._failed(partitions, error)
                return
            # Those that were served wait behind the others, so that the bound of a response starves nobody.
            partitions.sort(key=served.__contains__)

    def _request(self, partitions: list[TopicPartition]) -> FetchRequest:
        topics: dict[str, list[FetchRequest.FetchPartition]] = {}
        for each in partitions:
            row = FetchRequest.FetchPartition(
                partition=each.partition,
                fetch_offset=self._readings[each].offset,
                partition_max_bytes=_PARTITION_BYTES_MAX,
            )
            topics.setdefault(each.topic, []).append(row)
        return FetchRequest(
            max_wait_ms=_WAIT_MS,
            min_bytes=1,
            max_bytes=_RESPONSE_BYTES_MAX,
            isolation_level=int(self._read_committed),
            topics=[FetchRequest.FetchTopic(topic=name, partitions=rows) for name, rows in topics.items()],
        )

    async def _sort_out(self, leader: NodeId, response: FetchResponse) -> set[TopicPartition]:
        """Hand on what came, move the offsets, deal with what was refused; return the partitions that had records."""
        arrivals: list[Arrival] = []
        moves: list[tuple[_Reading, Offset, bool]] = []
        refused: dict[TopicPartition, BrokerError] = {}
        for topic in response.responses:
            for row in topic.partitions:
                source = Source(topic.topic, row.partition_index, leader)
                if row.error_code != ErrorCode.NONE:
                    refused[source.topic_partition] = broker_error(row.error_code, None)
                    continue
                reading = self._readings[source.topic_partition]
                arrival, next_offset = self._arrival(source, reading, row)
                at_end = next_offset >= self._end_of(row)
                if arrival.batches or arrival.reached_end is not None:
                    arrivals.append(arrival)
                moves.append((reading, next_offset, at_end))
        if arrivals:
            await self._queue.put(arrivals)
        for reading, offset, at_end in moves:  # nothing is awaited between handing over and this
            reading.move(offset)
            reading.at_end = at_end
        if moves:
            self._patience.succeeded()
        await self._deal_with(refused)
        return {each.source.topic_partition for each in arrivals}

    def _arrival(self, source: Source, reading: _Reading, row: _Row) -> tuple[Arrival, Offset]:
        """What a row of a response brings, and the offset to read on from. Raises BrokerError for damaged records."""
        aborted = [(each.producer_id, each.first_offset) for each in row.aborted_transactions or ()]
        fetched = readable_batches(cast("Buffer | None", row.records), reading.offset, aborted)
        end = self._end_of(row)
        is_news = fetched.next_offset >= end and (fetched.next_offset > reading.offset or not reading.at_end)
        arrival = Arrival(source, fetched.batches, reading.offset, reading.end, end if is_news else None)
        return arrival, fetched.next_offset

    def _end_of(self, row: _Row) -> Offset:
        return row.last_stable_offset if self._read_committed else row.high_watermark

    async def _deal_with(self, refused: Mapping[TopicPartition, BrokerError]) -> None:
        failed: dict[TopicPartition, BrokerError] = {}
        for each, error in refused.items():
            if error.code == ErrorCode.OFFSET_OUT_OF_RANGE:
                await self._move_into_range(each)
            else:
                failed[each] = error
        if failed:
            await self._failed(list(failed), next(iter(failed.values())))

    async def _move_into_range(self, partition: TopicPartition) -> None:
        """The log has the offset no longer: retention was quicker, or its end was lost. Say so and go on.

        Raises: BrokerError, OSError.
        """
        reading = self._readings[partition]
        bounds = []
        for place in (START, END):
            answer = (await list_offsets(self._cluster, [partition], place))[partition]
            if isinstance(answer, BrokerError):
                raise answer
            bounds.append(answer)
        nearest = min(max(reading.offset, bounds[0]), bounds[1])
        if nearest != reading.offset:
            warn(f"offset {reading.offset} of {partition_text(partition)} is gone; going on at {nearest}")
            reading.move(nearest)

    async def _failed(self, partitions: list[TopicPartition], error: BrokerError | OSError) -> None:
        """Wait, and have the leaders looked up again; or raise what failed, when it has failed for too long."""
        self._leaders_changed = True
        try:
            await self._patience.failed(error)
        except BrokerError as final:
            raise about(partition_text(partitions[0]), final) from None
        for each in partitions:
            self._cluster.forget_leader(*each)

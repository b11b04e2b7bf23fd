"""ListOffsets: where a partition starts and ends, and the first record at or after a time.

Versions 1–11. 2: isolation level. 4: leader epochs (KIP-320). 5: OFFSET_NOT_AVAILABLE. 6: flexible. 7: greatest
timestamp (KIP-734). 8: earliest local (KIP-405), 9: latest tiered (KIP-1005), 10: time-out, 11: earliest pending
upload (KIP-1023). There are no tiers here: the earliest local offset is the earliest, the other two are none.

The end is the high watermark for consumers, the last stable offset under read_committed, the log end for
replicas. Nothing at or above it is found by time either: offset and timestamp are -1 then, without an error.
Looking for a time reads the log, so it happens in the pool, all partitions of a request in one go.
Source: KIP-79. Checked against KafkaApis.scala, ReplicaManager.scala, Partition.scala. Deviation: a request of
the debugging replica (-2) is answered by the leader only.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from logd.authorisation import Operation, ResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from storage.errors import StorageError

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.types import LeaderEpoch, Offset, TimestampMs
    from replication.partition import Partition
    from storage.log import Log
    from storage.timestamp_lookup import TimestampLookup, TimestampOffset

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
LATEST_TIERED: Final = -5
EARLIEST_PENDING_UPLOAD: Final = -6

_FIRST_VERSIONS: Final = {
    LATEST: 1,
    EARLIEST: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL: 8,
    LATEST_TIERED: 9,
    EARLIEST_PENDING_UPLOAD: 11,
}
_FIRST_VERSION_WITH_EPOCHS: Final = 4
_FIRST_VERSION_WITH_NOT_AVAILABLE: Final = 5
_CONSUMER: Final = -1

_Asked = ListOffsetsRequest.ListOffsetsPartition
_Answer = ListOffsetsResponse.ListOffsetsPartitionResponse


class _Search(NamedTuple):
    """A partition whose log has to be read for the answer."""

    partition: Partition[Log]
    asked: _Asked
    answer: _Answer


def handle(
    broker: Broker, request: ListOffsetsRequest, context: RequestContext
) -> ListOffsetsResponse | Awaitable[ListOffsetsResponse]:
    """Answer from memory, unless a time is looked for."""
    return _Answers(broker, request, context).respond()


class _Answers:
    """Builds one response."""

    __slots__ = ("_broker", "_context", "_duplicates", "_request", "_searches")

    def __init__(self, broker: Broker, request: ListOffsetsRequest, context: RequestContext) -> None:
        self._broker = broker
        self._request = request
        self._context = context
        self._duplicates = _duplicates(request)
        self._searches: list[_Search] = []

    def respond(self) -> ListOffsetsResponse | Awaitable[ListOffsetsResponse]:
        response = ListOffsetsResponse()
        for topic in self._request.topics:
            answers = [self._partition(topic.name, asked) for asked in topic.partitions]
            response.topics.append(
                ListOffsetsResponse.ListOffsetsTopicResponse(name=topic.name, partitions=answers)
            )
        return self._search_then(response) if self._searches else response

    def _partition(self, topic: str, asked: _Asked) -> _Answer:
        answer = _Answer(partition_index=asked.partition_index)
        try:
            self._answer(topic, asked, answer)
        except BrokerError as error:
            self._refuse(answer, error)
        return answer

    def _answer(self, topic: str, asked: _Asked, answer: _Answer) -> None:
        """Fill in the answer, or note that the log has to be read for it. Raises: BrokerError."""
        if not self._broker.authorise(self._context, Operation.DESCRIBE, ResourceType.TOPIC, topic):
            raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        if (topic, asked.partition_index) in self._duplicates:
            raise BrokerError(ErrorCode.INVALID_REQUEST)
        timestamp = asked.timestamp
        if timestamp < 0 and self._context.version < _FIRST_VERSIONS.get(timestamp, 1 << 15):
            raise BrokerError(ErrorCode.UNSUPPORTED_VERSION)
        partition = self._broker.partition(topic, asked.partition_index)
        partition.check_leader(asked.current_leader_epoch)
        if timestamp == LATEST:
            self._check_available(partition)
            self._fill(answer, -1, self._bound(partition), partition.leader_epoch)
        elif timestamp in (EARLIEST, EARLIEST_LOCAL):
            found = partition.log.earliest()
            self._fill(answer, found.timestamp_ms, found.offset, found.leader_epoch)
        elif timestamp not in (LATEST_TIERED, EARLIEST_PENDING_UPLOAD):
            self._searches.append(_Search(partition, asked, answer))

    async def _search_then(self, response: ListOffsetsResponse) -> ListOffsetsResponse:
        """Read the logs until each search has its answer; what files were deleted under is read again."""
        searches = self._searches
        while searches:
            lookups = [_lookup(search) for search in searches]
            results = await self._broker.read_pool.run(partial(_run_all, lookups))
            again = []
            for search, lookup, result in zip(searches, lookups, results, strict=True):
                try:
                    search.partition.check_leader(search.asked.current_leader_epoch)
                    if lookup.stale:
                        again.append(search)
                    else:
                        self._take(search, result)
                except BrokerError as error:
                    self._refuse(search.answer, error)
            results.clear()  # an error in it keeps, by its traceback, frames of the pool that hold it
            searches = again
        return response

    def _take(self, search: _Search, result: TimestampOffset | StorageError | None) -> None:
        """Fill in what a search found. Raises: BrokerError."""
        if isinstance(result, StorageError):
            raise self._broker.storage_failed(search.partition, result) from result
        if result is not None and result.offset < self._bound(search.partition):
            self._fill(search.answer, result.timestamp_ms, result.offset, result.leader_epoch)
        else:
            self._check_available(search.partition)

    def _bound(self, partition: Partition[Log]) -> Offset:
        """The exclusive end of what this reader may know of."""
        if self._request.replica_id != _CONSUMER:
            return partition.log.log_end_offset
        return partition.read_bound(self._request.isolation_level, _CONSUMER)

    def _check_available(self, partition: Partition[Log]) -> None:
        """A new leader does not tell consumers an end that may lie below what the last leader told them.

        Raises: BrokerError OFFSET_NOT_AVAILABLE until the high watermark has reached the start of its epoch.
        """
        if self._request.replica_id != _CONSUMER:
            return
        log = partition.log
        _, epoch_start = log.leader_epochs.end_offset_for(partition.leader_epoch - 1, log.log_end_offset)
        if epoch_start > partition.high_watermark:
            raise BrokerError(ErrorCode.OFFSET_NOT_AVAILABLE)

    def _fill(
        self, answer: _Answer, timestamp_ms: TimestampMs, offset: Offset, leader_epoch: LeaderEpoch
    ) -> None:
        answer.timestamp = timestamp_ms
        answer.offset = offset
        if self._context.version >= _FIRST_VERSION_WITH_EPOCHS:
            answer.leader_epoch = leader_epoch

    def _refuse(self, answer: _Answer, error: BrokerError) -> None:
        code = error.code
        if (
            code is ErrorCode.OFFSET_NOT_AVAILABLE
            and self._context.version < _FIRST_VERSION_WITH_NOT_AVAILABLE
        ):
            code = ErrorCode.LEADER_NOT_AVAILABLE
        answer.error_code = code


def _duplicates(request: ListOffsetsRequest) -> set[tuple[str, int]]:
    """The partitions that are named more than once: each time is refused."""
    seen: set[tuple[str, int]] = set()
    duplicates: set[tuple[str, int]] = set()
    for topic in request.topics:
        for asked in topic.partitions:
            key = (topic.name, asked.partition_index)
            (duplicates if key in seen else seen).add(key)
    return duplicates


def _lookup(search: _Search) -> TimestampLookup:
    log = search.partition.log
    timestamp = search.asked.timestamp
    return log.max_timestamp() if timestamp == MAX_TIMESTAMP else log.lookup_timestamp(timestamp)


def _run_all(lookups: list[TimestampLookup]) -> list[TimestampOffset | StorageError | None]:
    """Blocks."""
    return [_run(lookup) for lookup in lookups]


def _run(lookup: TimestampLookup) -> TimestampOffset | StorageError | None:
    """Blocks. A failed disk of one partition is that partition's answer."""
    try:
        return lookup.run()
    except StorageError as error:
        return error

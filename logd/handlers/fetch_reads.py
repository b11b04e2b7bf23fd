"""The reads of Fetch: one request until it is answered, through waiting for records and for the disk.

Partitions are read in the order asked for until `max_bytes` are found; the first batch found comes whole even if it is
larger. Records leave as file regions, the first few of an answer as copies; batches that this process has not checked
yet, or that are not in memory, are read and checked in the pool first.
Deviation: regions end with a batch; Kafka cuts the last one where the limit falls.
Source: apache/kafka core/…/server/ReplicaManager.scala (readFromLog), DelayedFetch.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from logd.delayed import DelayedFetch, FetchWait
from logd.fetch_session import replica_id_of
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.types import ZERO_UUID
from replication.partition import READ_COMMITTED
from storage.errors import OffsetOutOfRange, StorageError
from storage.region import COPIED_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.fetch_session import FetchContext, FetchTarget, Params
    from logd.replicas import LocalPartition
    from protocol.types import Offset
    from storage.cold_read import ColdRead
    from storage.log import ReadResult

_Answer = FetchResponse.PartitionData


def park(
    broker: Broker,
    context: RequestContext,
    waits: Sequence[FetchWait],
    resume: Callable[[], None],
    *,
    max_wait_ms: int,
    bytes_min: int,
    isolation: int,
    replica_id: int,
) -> None:
    """Have `resume` called once there is enough to hand out, an error to tell, or the time is up; never once the
    client has left.
    """
    context.defer()
    waiting = context.connection.waiting
    parked: DelayedFetch | None = None

    def complete() -> None:
        waiting.discard(parked)
        resume()

    parked = broker.delayed.park_fetch(
        waits,
        max_wait_ms,
        complete,
        bytes_min=bytes_min,
        isolation=isolation,
        replica_id=replica_id,
        measure=_readable_bytes,
    )
    if parked.complete is not None:
        waiting.add(parked)


class _ColdPart:
    """A partition whose batches must come through the pool: its place among the answers, and the plan."""

    __slots__ = ("_error", "index", "offset", "partition", "plan")

    def __init__(self, index: int, partition: LocalPartition, offset: Offset, plan: ColdRead) -> None:
        self.index = index
        self.partition = partition
        self.offset = offset
        self.plan = plan
        self._error: StorageError | None = None

    def run(self) -> None:
        """Blocks: for the pool."""
        try:
            self.plan.run()
        except StorageError as error:
            self._error = error

    def take_error(self) -> StorageError | None:
        """What `run` failed with. It is not kept: by its traceback it keeps this, and with that the request."""
        error, self._error = self._error, None
        return error


class Fetch:
    """One fetch request until it is answered."""

    __slots__ = (
        "_answers",
        "_broker",
        "_bytes_left",
        "_bytes_max",
        "_bytes_min",
        "_bytes_read",
        "_cold",
        "_context",
        "_failed",
        "_isolation",
        "_replica_id",
        "_request",
        "_session",
        "_waits",
    )

    def __init__(
        self, broker: Broker, request: FetchRequest, context: RequestContext, session: FetchContext
    ) -> None:
        """`session` says which partitions are read, and makes the response."""
        self._broker = broker
        self._request = request
        self._context = context
        self._bytes_max = min(request.max_bytes, broker.config.fetch_max_bytes)
        self._bytes_min = min(request.min_bytes, self._bytes_max)
        self._isolation = request.isolation_level
        self._replica_id = replica_id_of(request, context.version)
        self._session = session

    def start(self) -> FetchResponse | None:
        """Read, and answer, or see to it that the answer comes."""
        if self._session.error:
            return self._session.finish([], self._broker.now_ms())
        self._read()
        if self._cold:
            self._context.defer()
            self._read_cold()
            return None
        request = self._request
        if (
            self._bytes_read >= self._bytes_min
            or self._failed
            or request.max_wait_ms <= 0
            or not self._answers
        ):
            return self._response()
        park(
            self._broker,
            self._context,
            self._waits,
            self.resume,
            max_wait_ms=request.max_wait_ms,
            bytes_min=self._bytes_min,
            isolation=self._isolation,
            replica_id=self._replica_id,
        )
        return None

    def resume(self) -> None:
        """A wait is over: answer with what is there now."""
        try:
            self._read()
            if self._cold:
                self._read_cold()
            else:
                self._context.reply(self._response())
        except Exception:
            self._context.fail()

    def _response(self) -> FetchResponse:
        return self._session.finish(self._answers, self._broker.now_ms())

    # Reading

    def _read(self) -> None:
        """Read every partition as far as the limits allow."""
        self._answers = []
        self._cold: list[_ColdPart] = []
        self._waits: list[FetchWait] = []
        self._failed = False
        self._bytes_read = 0
        self._bytes_left = self._bytes_max
        for target in self._session.partitions:
            params = target[2]
            answer = _Answer(partition_index=params.partition)
            self._answers.append(answer)
            try:
                self._read_partition(target, answer)
            except BrokerError as error:
                self._refuse(answer, error)

    def _read_partition(self, target: FetchTarget, answer: _Answer) -> None:
        """Raises: BrokerError with what is to be told of this partition."""
        topic, topic_id, params = target
        partition = self._partition(topic, params)
        log = partition.log
        if topic_id != log.topic_id and ZERO_UUID not in (topic_id, log.topic_id):
            # A session knows the name of a topic that was deleted, and made again since.
            raise BrokerError(ErrorCode.INCONSISTENT_TOPIC_ID)
        offset = params.fetch_offset
        answer.high_watermark = partition.high_watermark
        answer.last_stable_offset = partition.last_stable_offset
        answer.log_start_offset = log.log_start_offset
        if params.last_fetched_epoch >= 0 and self._diverges(partition, params, answer):
            self._failed = True
            return
        self._waits.append(FetchWait(partition, offset, params.partition_max_bytes))
        found = self._bytes_read or self._cold
        if self._bytes_left <= 0 and found:
            answer.records = b""
            if self._isolation != READ_COMMITTED:
                answer.aborted_transactions = None
            return
        bytes_max = max(min(params.partition_max_bytes, self._bytes_left), 0)
        try:
            result = log.read(
                offset,
                bytes_max,
                partition.read_bound(self._isolation, self._replica_id),
                min_one=not found,
            )
        except OffsetOutOfRange as error:
            raise BrokerError(ErrorCode.OFFSET_OUT_OF_RANGE, str(error)) from None
        except StorageError as error:
            raise self._broker.storage_failed(partition, error) from error
        if result.cold is not None:
            self._cold.append(_ColdPart(len(self._answers) - 1, partition, offset, result.cold))
            self._bytes_left -= bytes_max  # how much it will be, only the pool can tell
        self._fill(answer, partition, offset, result)

    def _partition(self, topic: str | None, params: Params) -> LocalPartition:
        broker = self._broker
        if topic is None:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_ID)
        if not broker.authorise(self._context, Operation.READ, ResourceType.TOPIC, topic):
            raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        partition = broker.partition(topic, params.partition)
        partition.check_leader(params.current_leader_epoch)
        return partition

    def _diverges(self, partition: LocalPartition, params: Params, answer: _Answer) -> bool:
        """Tell a reader whose last batch is of a history that this log does not have where they part."""
        log = partition.log
        if params.last_fetched_epoch == partition.leader_epoch and params.fetch_offset <= log.log_end_offset:
            return False
        epoch, end_offset = log.leader_epochs.end_offset_for(params.last_fetched_epoch, log.log_end_offset)
        if epoch < 0 or params.fetch_offset < log.log_start_offset:
            raise BrokerError(ErrorCode.OFFSET_OUT_OF_RANGE)
        if epoch == params.last_fetched_epoch and end_offset >= params.fetch_offset:
            return False
        answer.diverging_epoch = FetchResponse.EpochEndOffset(epoch=epoch, end_offset=end_offset)
        answer.records = b""
        return True

    def _fill(self, answer: _Answer, partition: LocalPartition, offset: Offset, result: ReadResult) -> None:
        region = result.region
        if region is None:
            answer.records = b""
        else:
            self._bytes_read += region.size
            self._bytes_left -= region.size
            is_small = self._bytes_read <= COPIED_BYTES_MAX
            answer.records = (region.copy() if is_small else None) or region
        answer.aborted_transactions = (
            self._aborted(partition, offset, result.next_offset)
            if self._isolation == READ_COMMITTED
            else None
        )

    def _aborted(
        self, partition: LocalPartition, offset: Offset, end: Offset
    ) -> list[FetchResponse.AbortedTransaction]:
        try:
            aborted = partition.log.aborted_transactions(offset, end)
        except StorageError as error:
            raise self._broker.storage_failed(partition, error) from error
        return [
            FetchResponse.AbortedTransaction(producer_id=producer_id, first_offset=first_offset)
            for producer_id, first_offset in aborted
        ]

    def _refuse(self, answer: _Answer, error: BrokerError) -> None:
        self._failed = True
        answer.error_code = error.code
        answer.high_watermark = answer.last_stable_offset = answer.log_start_offset = -1
        answer.records = b""

    # What has to wait for the disk

    def _read_cold(self) -> None:
        parts = self._cold

        def run() -> None:
            for part in parts:
                part.run()

        self._broker.read_pool.submit(run, self._cold_read)

    def _cold_read(self, done: Future[None]) -> None:
        """The pool has read and checked: answer."""
        errors = [part.take_error() for part in self._cold]
        if self._context.closed:
            return
        try:
            done.result()
            for part, failed in zip(self._cold, errors, strict=True):
                answer = self._answers[part.index]
                try:
                    self._take_cold(part, failed, answer)
                except BrokerError as error:
                    self._refuse(answer, error)
            self._context.reply(self._response())
        except Exception:
            self._context.fail()
        finally:
            del done  # if it failed, the error's traceback keeps this frame

    def _take_cold(self, part: _ColdPart, failed: StorageError | None, answer: _Answer) -> None:
        partition = part.partition
        partition.check_leader(-1)  # the partition may be gone by now
        if failed is not None:
            raise self._broker.storage_failed(partition, failed) from failed
        try:
            result = partition.log.finish_read(part.plan)
        except StorageError as error:
            raise self._broker.storage_failed(partition, error) from error
        self._fill(answer, partition, part.offset, result)


def _readable_bytes(wait: FetchWait, bound: Offset) -> int:
    """Bytes that a read up to `bound` (exclusive) would answer; what lies on disk only counts in full."""
    result = wait.partition.log.read(wait.offset, wait.bytes_max, bound)
    if result.cold is not None:
        return wait.bytes_max
    return 0 if result.region is None else result.region.size

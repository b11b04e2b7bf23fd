"""The short way through Fetch, for requests that differ from the last one only in where they read.

`protocol.fetch_shape` tells that. Only what can be answered with records, at once or after waiting for the first of
them, goes this way: a request that is refused, runs into its time, reads from the disk or meets an aborted transaction
goes the ordinary way, with nothing done yet; if it has waited, from the request that the shape makes anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import allow_all
from logd.context import RequestContext
from logd.delayed import FetchWait
from logd.fetch_session import FetchContext, replica_id_of
from logd.handlers.fetch_reads import Fetch, park
from logd.short_way import ShortWay
from protocol.errors import BrokerError
from protocol.fetch_shape import FetchShape
from protocol.messages.fetch import FetchRequest
from protocol.types import ZERO_UUID
from replication.partition import READ_COMMITTED
from storage.errors import OffsetOutOfRange, StorageError
from storage.region import COPIED_BYTES_MAX

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.connection import Connection
    from logd.replicas import LocalPartition
    from protocol.connection import Chunk
    from protocol.types import Offset
    from storage.region import FileRegion

API_KEY: Final = FetchRequest.API_KEY

_NO_SESSION = -1
_CONSUMER = -1

_REFUSALS: Final = (BrokerError, OffsetOutOfRange, StorageError)
"""The ordinary way meets them again, and says so. A disk that failed once and then reads well is believed: a read,
unlike a sync, may be tried again.
"""


def learn(_broker: Broker, frame: memoryview, request: FetchRequest, version: int) -> ShortWay | None:
    """What to remember of a request: a consumer's, outside a session, that does not ask whether histories part."""
    if (
        request.session_epoch != _NO_SESSION
        or request.session_id
        or replica_id_of(request, version) >= 0
        or any(
            partition.last_fetched_epoch >= 0 for topic in request.topics for partition in topic.partitions
        )
    ):
        return None
    shape = FetchShape.learn(frame, request, version)
    return None if shape is None else ShortWay(shape, handle_alike)


def handle_alike(
    broker: Broker, connection: Connection, shape: FetchShape, correlation_id: int, offset: Offset
) -> bool:
    """The short way for a request like the one that `shape` was learned from, but from `offset` on.

    False, with nothing done, when the ordinary way has to look at it.
    """
    topic = shape.topic_name or broker.topic_name(shape.topic_id)
    if topic is None or broker.authorise is not allow_all:
        return False
    try:
        partition = broker.replicas.get(topic, shape.index)
        partition.check_leader(shape.current_leader_epoch)
        bound = partition.read_bound(shape.isolation_level, _CONSUMER)
        waits = offset == bound and shape.may_wait and shape.topic_id in (ZERO_UUID, partition.log.topic_id)
        region = None if waits else _read(broker, partition, shape, offset, bound)
    except _REFUSALS:
        return False
    if waits:
        wait = FetchWait(partition, offset, shape.partition_bytes)
        _park(broker, connection, topic, shape, correlation_id, wait)
        return True
    if region is None or region.size < shape.min_bytes:
        return False
    connection.responses.send(_answer(partition, shape, correlation_id, region))
    return True


def _read(
    broker: Broker, partition: LocalPartition, shape: FetchShape, offset: Offset, bound: Offset
) -> FileRegion | None:
    """What can be sent at once; None when there is nothing, or more to be said than the records.

    Raises: OffsetOutOfRange, StorageError.
    """
    log = partition.log
    if offset >= bound or shape.topic_id not in (ZERO_UUID, log.topic_id):
        return None
    result = log.read(offset, max(min(shape.max_bytes, broker.config.fetch_max_bytes), 0), bound)
    if shape.isolation_level == READ_COMMITTED and log.aborted_transactions(offset, result.next_offset):
        return None
    return result.region


def _answer(
    partition: LocalPartition, shape: FetchShape, correlation_id: int, region: FileRegion
) -> tuple[Chunk, ...]:
    head = shape.answer(
        correlation_id,
        partition.high_watermark,
        partition.last_stable_offset,
        partition.log.log_start_offset,
        region.size,
    )
    records = region.copy() if region.size <= COPIED_BYTES_MAX else None
    return (head, region, shape.tail) if records is None else (head + records + shape.tail,)


# -- waiting -----------------------------------------------------------------------------------------------------


def _park(
    broker: Broker,
    connection: Connection,
    topic: str,
    shape: FetchShape,
    correlation_id: int,
    wait: FetchWait,
) -> None:
    """Answer once there is enough, or the request's time is up."""
    context = RequestContext(
        connection, API_KEY, shape.version, correlation_id, connection.client_id, flexible=True
    )
    park(
        broker,
        context,
        (wait,),
        lambda: _resume(broker, context, topic, shape, wait.offset),
        max_wait_ms=shape.max_wait_ms,
        bytes_min=min(shape.min_bytes, broker.config.fetch_max_bytes),
        isolation=shape.isolation_level,
        replica_id=_CONSUMER,
    )


def _resume(broker: Broker, context: RequestContext, topic: str, shape: FetchShape, offset: Offset) -> None:
    """The wait is over: answer with what is there now, the ordinary way when that is not just records."""
    try:
        chunks = _answer_now(broker, topic, shape, context.correlation_id, offset)
        if chunks is not None:
            context.reply_framed(chunks)
            return
        request = shape.request(offset)
        # By the name that the topic had when the wait began, as the ordinary way waits.
        target = (topic, shape.topic_id, request.topics[0].partitions[0])
        Fetch(broker, request, context, FetchContext([target])).resume()
    except Exception:
        context.fail()


def _answer_now(
    broker: Broker, topic: str, shape: FetchShape, correlation_id: int, offset: Offset
) -> tuple[Chunk, ...] | None:
    """The answer if it is just records."""
    if broker.authorise is not allow_all:
        return None
    try:
        partition = broker.replicas.get(topic, shape.index)
        partition.check_leader(shape.current_leader_epoch)
        bound = partition.read_bound(shape.isolation_level, _CONSUMER)
        region = _read(broker, partition, shape, offset, bound)
    except _REFUSALS:
        return None
    return None if region is None else _answer(partition, shape, correlation_id, region)

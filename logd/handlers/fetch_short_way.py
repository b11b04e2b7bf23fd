"""The short way through Fetch, for requests that differ from the last one only in where they read.

`protocol.fetch_shape` tells that. Only what can be answered at once with records goes this way: a request that is
refused, waits, reads from the disk or meets an aborted transaction goes the ordinary way, with nothing done yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import allow_all
from logd.fetch_session import replica_id_of
from logd.short_way import ShortWay
from protocol.errors import BrokerError
from protocol.fetch_shape import FetchShape
from protocol.types import ZERO_UUID
from replication.partition import READ_COMMITTED
from storage.errors import OffsetOutOfRange, StorageError

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.connection import Connection
    from logd.replicas import LocalPartition
    from protocol.messages.fetch import FetchRequest
    from protocol.types import Offset
    from storage.region import FileRegion

_NO_SESSION = -1
_CONSUMER = -1


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
        partition = broker.partition(topic, shape.index)
        partition.check_leader(shape.current_leader_epoch)
        region = _read(broker, partition, shape, offset)
    except (BrokerError, OffsetOutOfRange, StorageError):
        # The ordinary way meets that again, and says so. A disk that failed once and then reads well is believed: a
        # read, unlike a sync, may be tried again.
        return False
    if region is None or region.size < shape.min_bytes:
        return False
    head = shape.answer(
        correlation_id,
        partition.high_watermark,
        partition.last_stable_offset,
        partition.log.log_start_offset,
        region.size,
    )
    connection.responses.send((head, region, shape.tail))
    return True


def _read(broker: Broker, partition: LocalPartition, shape: FetchShape, offset: Offset) -> FileRegion | None:
    """What can be sent at once; None when there is nothing, or more to be said than the records.

    Raises: BrokerError, OffsetOutOfRange, StorageError.
    """
    log = partition.log
    bound = partition.read_bound(shape.isolation_level, _CONSUMER)
    if offset >= bound or shape.topic_id not in (ZERO_UUID, log.topic_id):
        return None
    result = log.read(offset, max(min(shape.max_bytes, broker.config.fetch_max_bytes), 0), bound)
    if shape.isolation_level == READ_COMMITTED and log.aborted_transactions(offset, result.next_offset):
        return None
    return result.region

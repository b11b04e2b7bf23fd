"""What a Produce request asks for, before any batch of it is appended: topics by name, transactions that begin.

Versions that matter here: up to 10 the client does not understand TRANSACTION_ABORTABLE, up to 11 it adds partitions to
its transactions itself, up to 12 it names topics by name.
Source: apache/kafka core/…/server/KafkaApis.scala, ReplicaManager.scala.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from logd.authorisation import Operation, ResourceType
from logd.coordination.transaction_verification import TransactionSupport
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.produce import ProduceRequest
from protocol.records import (
    ATTRIBUTES_POSITION,
    HEADER_SIZE,
    MAGIC,
    MAGIC_POSITION,
    TRANSACTIONAL_BIT,
)
from replication.topic_names import INTERNAL_TOPICS

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.coordination.transaction_inquiry import Inquiry

ACKS: Final = (-1, 0, 1)
LOW_ATTRIBUTES_POSITION: Final = ATTRIBUTES_POSITION + 1

_FIRST_VERSION_WITH_TOPIC_IDS: Final = 13
#: The client id with which an operator's tools may write to internal topics.
_ADMIN_CLIENT_ID: Final = "__admin_client"

#: Producer id, its epoch and the first sequence, in the header of a batch.
_PRODUCER_UNPACK: Final = Struct(">qhi").unpack_from
_PRODUCER_POSITION: Final = 43


def inquiry_of(broker: Broker, request: ProduceRequest, context: RequestContext) -> Inquiry | None:
    """What the transaction coordinator may have to be asked; None for a request without transactional batches.

    Raises: BrokerError that refuses the whole request.
    """
    transactional = _transactional_batches(request)
    if not transactional:
        return None
    transactional_id = request.transactional_id
    if transactional_id is None or not broker.authorise(
        context, Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id
    ):
        raise BrokerError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
    batches = []
    for topic, index, records in transactional:
        producer_id, producer_epoch, base_sequence = _PRODUCER_UNPACK(records, _PRODUCER_POSITION)
        if producer_id >= 0:  # else it is in no transaction, whatever it says
            batches.append((topic, index, (producer_id, producer_epoch), base_sequence))
    producers = {producer for _, _, producer, _ in batches}
    if not producers:
        return None
    if len(producers) > 1:
        raise BrokerError(
            ErrorCode.INVALID_PRODUCER_ID_MAPPING, "One request holds transactions of several producers."
        )
    from logd.coordination.transaction_inquiry import Inquiry  # noqa: PLC0415 - a node without transactions never loads it

    support = TransactionSupport.of_produce(context.version)
    inquiry = Inquiry(broker, transactional_id, *producers.pop(), support)
    for topic, index, _, base_sequence in batches:
        try:
            name = topic_name(broker, request, context, topic)
        except BrokerError:
            continue  # it is refused in its place
        inquiry.include(name, index, base_sequence)
    return inquiry


def topic_name(
    broker: Broker, request: ProduceRequest, context: RequestContext, topic: ProduceRequest.TopicProduceData
) -> str:
    """Raises: BrokerError for what makes every batch of the topic fail."""
    name: str | None = topic.name
    if context.version >= _FIRST_VERSION_WITH_TOPIC_IDS:
        name = broker.topic_name(topic.topic_id)
        if name is None:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_ID)
    assert name is not None
    if request.acks not in ACKS:
        raise BrokerError(ErrorCode.INVALID_REQUIRED_ACKS)
    if not broker.authorise(context, Operation.WRITE, ResourceType.TOPIC, name):
        raise BrokerError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    if name in INTERNAL_TOPICS and context.client_id != _ADMIN_CLIENT_ID:
        raise BrokerError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name} is internal: clients only read it.")
    return name


def keep_records(request: ProduceRequest) -> None:
    """Have the request's records outlive its frame."""
    for topic in request.topic_data:
        for data in topic.partition_data:
            records: Any = data.records
            if records is not None:
                data.records = memoryview(bytearray(records))


def _transactional_batches(
    request: ProduceRequest,
) -> list[tuple[ProduceRequest.TopicProduceData, int, Any]]:
    """Return the batches that say they are part of a transaction, each with its topic and partition."""
    found = []
    for topic in request.topic_data:
        for data in topic.partition_data:
            batch: Any = data.records
            if (
                batch is not None
                and len(batch) >= HEADER_SIZE
                and batch[LOW_ATTRIBUTES_POSITION] & TRANSACTIONAL_BIT
                and batch[MAGIC_POSITION] == MAGIC
            ):
                found.append((topic, data.index, batch))
    return found

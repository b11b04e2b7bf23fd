"""kafka-python's transactional producer behind the port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from tests.support.clients.port import ClientError
from tests.support.patience import PATIENCE_S

_NAMES = {"ProducerFencedError": "PRODUCER_FENCED", "InvalidProducerEpochError": "INVALID_PRODUCER_EPOCH"}


class KafkaPythonTransactions:
    """A `tests.support.clients.transactional.Transactional`."""

    def __init__(self, bootstrap: str, transactional_id: str, settings: dict[str, Any]) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap,
            transactional_id=transactional_id,
            reconnect_backoff_max_ms=200,
            **settings,
        )

    def init(self) -> None:
        _do(self._producer.init_transactions)

    def begin(self) -> None:
        _do(self._producer.begin_transaction)

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        sent = [_do(self._producer.send, topic, value=value, partition=partition) for value in values]
        _do(self._producer.flush, PATIENCE_S)
        for each in sent:
            _do(each.get, PATIENCE_S)

    def send_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        offsets = {TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1)}
        _do(self._producer.send_offsets_to_transaction, offsets, ConsumerGroupMetadata(group, -1, "", None))

    def commit(self) -> None:
        _do(self._producer.commit_transaction)

    def abort(self) -> None:
        _do(self._producer.abort_transaction)

    def close(self) -> None:
        self._producer.close(timeout=0)


def _do(call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return call(*arguments, **named)
    except KafkaError as failure:
        kind = type(failure).__name__
        raise ClientError(_NAMES.get(kind, kind), str(failure)) from failure

"""confluent-kafka (librdkafka) behind the port."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as RawMessage
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.support.clients.port import (
    EARLIEST,
    Acks,
    At,
    ClientError,
    ClusterView,
    Codec,
    Isolation,
    Message,
    Received,
    Reset,
    Start,
    TopicView,
)
from tests.support.patience import PATIENCE_S

_OFFSET_BEGINNING = -2
_OFFSET_END = -1
_OFFSET_STORED = -1000


class ConfluentClient:
    name = "confluent-kafka"

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def produce(
        self,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        acks: Acks = "all",
        codec: Codec = "none",
        idempotent: bool = False,
        max_request_size: int | None = None,
    ) -> list[int]:
        settings: dict[str, Any] = {
            "acks": acks,
            "compression.type": codec,
            "enable.idempotence": idempotent,
            "linger.ms": 20,
        }
        if max_request_size is not None:
            settings["message.max.bytes"] = max_request_size
        producer = Producer(self._settings() | settings)
        delivered: list[RawMessage] = []
        errors: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, message: RawMessage) -> None:
            if error is None:
                delivered.append(message)
            else:
                errors.append(error)

        for message in messages:
            producer.produce(
                topic,
                partition=partition,
                key=message.key,
                value=message.value,
                timestamp=message.timestamp_ms,
                headers=list(message.headers) or None,
                on_delivery=on_delivery,
            )
        left = producer.flush(PATIENCE_S)
        if errors:
            raise _error(errors[0])
        assert left == 0, f"{left} messages not delivered"
        return [_number(message.offset()) for message in delivered]

    def consume(
        self,
        topic: str,
        count: int,
        *,
        start: Start = EARLIEST,
        partitions: Sequence[int] = (0,),
        isolation: Isolation = "read_uncommitted",
        reset: Reset = "none",
        timeout_s: float = PATIENCE_S,
    ) -> list[Received]:
        consumer = self._consumer(
            **{
                "isolation.level": isolation,
                "auto.offset.reset": "error" if reset == "none" else reset,
            }
        )
        received: list[Received] = []
        deadline = time.monotonic() + timeout_s
        try:
            consumer.assign([self._position(consumer, topic, partition, start) for partition in partitions])
            while len(received) < count and time.monotonic() < deadline:
                for raw in consumer.consume(num_messages=max(1, count - len(received)), timeout=0.2):
                    error = raw.error()
                    if error is not None:
                        raise _error(error)
                    received.append(_received(raw))
        finally:
            consumer.close()
        return received

    def offset_range(self, topic: str, partition: int = 0) -> tuple[int, int]:
        consumer = self._consumer()
        try:
            low, high = consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=PATIENCE_S, cached=False
            )
            return low, high
        finally:
            consumer.close()

    def offset_for_time(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        consumer = self._consumer()
        try:
            found = self._offset_at(consumer, topic, partition, timestamp_ms)
            return None if found == _OFFSET_END else found
        finally:
            consumer.close()

    def create_topic(self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=dict(configs or {}))
        admin = self._admin()  # must outlive its futures
        self._finish(admin.create_topics([new], request_timeout=PATIENCE_S)[topic])

    def delete_topic(self, topic: str) -> None:
        admin = self._admin()
        self._finish(admin.delete_topics([topic], request_timeout=PATIENCE_S)[topic])

    def list_topics(self) -> set[str]:
        return set(self._admin().list_topics(timeout=PATIENCE_S).topics)

    def describe_topic(self, topic: str) -> TopicView:
        found = self._admin().list_topics(topic, timeout=PATIENCE_S).topics[topic]
        if found.error is not None:
            raise _error(found.error)
        numbers = tuple(sorted(found.partitions))
        return TopicView(numbers, tuple(found.partitions[number].leader for number in numbers))

    def describe_cluster(self) -> ClusterView:
        metadata = self._admin().list_topics(timeout=PATIENCE_S)
        nodes = tuple((node.id, str(node.host), node.port) for node in metadata.brokers.values())
        return ClusterView(metadata.cluster_id, nodes)

    def transactional(self, transactional_id: str, **settings: str) -> ConfluentTransactions:
        """A transactional producer; dots of property names are underscores."""
        given = {name.replace("_", "."): value for name, value in settings.items()}
        return ConfluentTransactions(
            self._settings() | {"transactional.id": transactional_id, "linger.ms": 0} | given
        )

    def close(self) -> None:
        pass

    def _settings(self) -> dict[str, Any]:
        return {"bootstrap.servers": self._bootstrap}

    def _admin(self) -> AdminClient:
        return AdminClient(self._settings())

    def _consumer(self, **settings: Any) -> Consumer:
        # librdkafka wants a group id even where nothing of the group is used.
        fixed = {"group.id": "assigned-only", "enable.auto.commit": False, "enable.partition.eof": False}
        return Consumer(self._settings() | fixed | settings)

    def _position(self, consumer: Consumer, topic: str, partition: int, start: Start) -> TopicPartition:
        offset = {
            At.EARLIEST: _OFFSET_BEGINNING,
            At.LATEST: _OFFSET_END,
            At.OFFSET: start.argument,
            # An offset that cannot exist: librdkafka then applies its reset policy.
            At.RESET: 2**62,
        }.get(start.at)
        if offset is None:
            offset = self._offset_at(consumer, topic, partition, start.argument)
        return TopicPartition(topic, partition, offset)

    @staticmethod
    def _offset_at(consumer: Consumer, topic: str, partition: int, timestamp_ms: int) -> int:
        (found,) = consumer.offsets_for_times(
            [TopicPartition(topic, partition, timestamp_ms)], timeout=PATIENCE_S
        )
        return int(found.offset)

    @staticmethod
    def _finish(future: Any) -> None:
        try:
            future.result(PATIENCE_S)
        except KafkaException as failure:
            raise _error(failure.args[0]) from failure


def _number(value: int | None) -> int:
    return -1 if value is None else value


def _received(raw: RawMessage) -> Received:
    _, timestamp_ms = raw.timestamp()
    headers: Any = raw.headers() or ()  # a list of pairs; the stubs allow every form that produce takes
    message = Message(
        raw.key(),
        raw.value(),
        timestamp_ms,
        tuple((name, value) for name, value in headers),
    )
    return Received(_number(raw.partition()), _number(raw.offset()), message)


def _error(error: KafkaError) -> ClientError:
    # librdkafka reports an out-of-range offset without a reset policy under a name of its own.
    names = {
        "_AUTO_OFFSET_RESET": "OFFSET_OUT_OF_RANGE",
        "MSG_SIZE_TOO_LARGE": "MESSAGE_TOO_LARGE",
        "UNKNOWN_TOPIC_OR_PART": "UNKNOWN_TOPIC_OR_PARTITION",
    }
    name = error.name()
    return ClientError(names.get(name, name), str(error))


class ConfluentTransactions:
    """A `tests.support.clients.transactional.Transactional`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        # Errors come out of the calls; a fatal one would come out of any callback, too.
        self._producer = Producer(settings | {"error_cb": lambda _error: None, "log_level": 0})
        self._bootstrap = settings["bootstrap.servers"]

    def init(self) -> None:
        self._do(self._producer.init_transactions, PATIENCE_S)

    def begin(self) -> None:
        self._do(self._producer.begin_transaction)

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        errors: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _message: RawMessage) -> None:
            if error is not None:
                errors.append(error)

        for value in values:
            self._do(
                lambda value=value: self._producer.produce(  # type: ignore[misc]
                    topic, partition=partition, value=value, on_delivery=on_delivery
                )
            )
        left = self._do(self._producer.flush, PATIENCE_S)
        if errors:
            raise _error(errors[0])
        assert left == 0, f"{left} messages not delivered"

    def send_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": group})
        try:
            self._do(
                self._producer.send_offsets_to_transaction,
                [TopicPartition(topic, partition, offset)],
                consumer.consumer_group_metadata(),
                PATIENCE_S,
            )
        finally:
            consumer.close()

    def commit(self) -> None:
        self._do(self._producer.commit_transaction, PATIENCE_S)

    def abort(self) -> None:
        self._do(self._producer.abort_transaction, PATIENCE_S)

    def close(self) -> None:
        """librdkafka lets go of what is open when nobody holds the producer."""
        del self._producer

    def _do(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (KafkaException, SystemError) as failure:
            # A fatal error may come out of a callback, too, and is then the cause of what is raised.
            fault = failure if isinstance(failure, KafkaException) else failure.__cause__
            assert isinstance(fault, KafkaException), failure
            raise _error(fault.args[0]) from failure

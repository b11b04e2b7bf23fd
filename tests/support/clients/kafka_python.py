"""kafka-python behind the port."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from tests.support.clients.kafka_python_transactions import KafkaPythonTransactions
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

_ACKS: dict[Acks, Any] = {"0": 0, "1": 1, "all": "all"}


class KafkaPythonClient:
    name = "kafka-python"

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
            "acks": _ACKS[acks],
            "compression_type": None if codec == "none" else codec,
            "enable_idempotence": idempotent,
            "linger_ms": 20,
        }
        if max_request_size is not None:
            settings["max_request_size"] = max_request_size
        with closing(KafkaProducer(bootstrap_servers=self._bootstrap, **settings)) as producer:
            futures = [
                producer.send(
                    topic,
                    value=message.value,
                    key=message.key,
                    headers=list(message.headers),
                    partition=partition,
                    timestamp_ms=message.timestamp_ms,
                )
                for message in messages
            ]
            producer.flush(PATIENCE_S)
            try:
                return [future.get(PATIENCE_S).offset for future in futures]
            except KafkaError as failure:
                raise _error(failure) from failure

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
        received: list[Received] = []
        deadline = time.monotonic() + timeout_s
        assigned = [TopicPartition(topic, partition) for partition in partitions]
        with closing(self._consumer(isolation_level=isolation, auto_offset_reset=reset)) as consumer:
            consumer.assign(assigned)
            _seek(consumer, assigned, start)
            try:
                while len(received) < count and time.monotonic() < deadline:
                    for raws in consumer.poll(timeout_ms=200).values():
                        received += [_received(raw) for raw in raws]
            except KafkaError as failure:
                raise _error(failure) from failure
        return received

    def offset_range(self, topic: str, partition: int = 0) -> tuple[int, int]:
        at = TopicPartition(topic, partition)
        with closing(self._consumer()) as consumer:
            return consumer.beginning_offsets([at])[at], consumer.end_offsets([at])[at]

    def offset_for_time(self, topic: str, timestamp_ms: int, partition: int = 0) -> int | None:
        at = TopicPartition(topic, partition)
        with closing(self._consumer()) as consumer:
            found = consumer.offsets_for_times({at: timestamp_ms})[at]
            return None if found is None else int(found.offset)

    def create_topic(self, topic: str, partitions: int = 1, configs: Mapping[str, str] | None = None) -> None:
        options = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(configs or {})}
        self._administer("create_topics", {topic: options})

    def delete_topic(self, topic: str) -> None:
        self._administer("delete_topics", [topic])

    def list_topics(self) -> set[str]:
        return set(self._administer("list_topics"))

    def describe_topic(self, topic: str) -> TopicView:
        (found,) = self._administer("describe_topics", [topic])
        partitions = sorted(found["partitions"], key=lambda each: int(each["partition_index"]))
        return TopicView(
            tuple(each["partition_index"] for each in partitions),
            tuple(each["leader_id"] for each in partitions),
        )

    def describe_cluster(self) -> ClusterView:
        found = self._administer("describe_cluster")
        nodes = tuple(
            (node.get("node_id", node.get("broker_id")), node["host"], node["port"])
            for node in found["brokers"]
        )
        return ClusterView(found["cluster_id"], nodes)

    def transactional(self, transactional_id: str, **settings: str) -> KafkaPythonTransactions:
        """A transactional producer; of settings, `transaction_timeout_ms` is known."""
        given = {name: int(value) for name, value in settings.items()}
        return KafkaPythonTransactions(self._bootstrap, transactional_id, given)

    def close(self) -> None:
        pass

    def _administer(self, call: str, *arguments: Any) -> Any:
        with closing(KafkaAdminClient(bootstrap_servers=self._bootstrap)) as admin:
            try:
                return getattr(admin, call)(*arguments)
            except KafkaError as failure:
                raise _error(failure) from failure

    def _consumer(self, **settings: Any) -> KafkaConsumer:
        return KafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False, **settings)


def _seek(consumer: KafkaConsumer, assigned: list[TopicPartition], start: Start) -> None:
    match start.at:
        case At.EARLIEST:
            consumer.seek_to_beginning(*assigned)
        case At.LATEST:
            consumer.seek_to_end(*assigned)
        case At.OFFSET:
            for partition in assigned:
                consumer.seek(partition, start.argument)
        case At.TIMESTAMP:
            found = consumer.offsets_for_times(dict.fromkeys(assigned, start.argument))
            for partition, at in found.items():
                if at is None:
                    consumer.seek_to_end(partition)
                else:
                    consumer.seek(partition, at.offset)
        case At.RESET:
            pass


def _received(raw: Any) -> Received:
    headers = tuple((name, value) for name, value in raw.headers)
    return Received(raw.partition, raw.offset, Message(raw.key, raw.value, raw.timestamp, headers))


def _error(failure: KafkaError) -> ClientError:
    kind = type(failure).__name__
    names = {
        "OffsetOutOfRangeError": "OFFSET_OUT_OF_RANGE",
        "NoOffsetForPartitionError": "OFFSET_OUT_OF_RANGE",
        "MessageSizeTooLargeError": "MESSAGE_TOO_LARGE",
        "TopicAlreadyExistsError": "TOPIC_ALREADY_EXISTS",
        "UnknownTopicOrPartitionError": "UNKNOWN_TOPIC_OR_PARTITION",
    }
    return ClientError(names.get(kind, kind), str(failure))

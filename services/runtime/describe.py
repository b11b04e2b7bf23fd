"""What a service asks of the cluster about topics."""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from services.runtime.clients import ask


def topic_id(client: AdminClient, topic: str) -> str:
    """Tells a topic from an earlier or later one of the same name. Raises KafkaException."""

    def question() -> str:
        described = client.describe_topics(TopicCollection([topic]), request_timeout=10)[topic].result()
        return str(described.topic_id)

    return ask(question)


def partition_count(client: AdminClient, topic: str) -> int:
    """Raises KafkaException."""

    def question() -> int:
        described = client.list_topics(topic, timeout=10).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        return len(described.partitions)

    return ask(question)

"""Creates the topics that are missing: `python -m services.orders.create_topics [name=value …]`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.cimpl import NewTopic

from services.orders import topics
from services.orders.process import settings_for
from services.orders.settings import Settings
from services.orders.topics import Kind
from services.runtime.clients import admin, error_of
from services.runtime.logs import log

_CONFIGS = {
    Kind.EVENTS: {"cleanup.policy": "delete"},
    Kind.HISTORY: {"cleanup.policy": "delete", "retention.ms": "-1"},
    Kind.LATEST: {"cleanup.policy": "compact"},
}


def create(settings: Settings) -> list[str]:
    """The names of those created. Raises KafkaException."""
    new = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions or settings.partitions,
            replication_factor=settings.replication,
            config=_CONFIGS[topic.kind],
        )
        for topic in topics.all_topics()
    ]
    client = admin(settings)  # requests end with it
    created = []
    for name, future in client.create_topics(new, request_timeout=30).items():
        try:
            future.result()
            created.append(name)
        except KafkaException as error:
            if error_of(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return created


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("create_topics", arguments)
    if settings is None:
        return 2
    try:
        created = create(settings)
    except KafkaException as error:
        log(__name__, "topics could not be created", level=logging.ERROR, error=str(error))
        return 1
    log(__name__, "topics created", names=created)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

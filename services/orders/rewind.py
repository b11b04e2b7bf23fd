"""Rewinds a service's position in one of its inputs to the start: `python -m services.orders.rewind SERVICE TOPIC
[name=value …]`.

For repair, after a bug in the service has been put right (ch. 7). Stop all instances of the service first: as long as
one is a member, its group refuses. When the service is started again it meets its inputs anew. Made for the Orders
Service's commands, which may be replayed at any time: what comes out as it was is not published again, and what comes
out otherwise is, as a correction.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from services.orders import topics
from services.orders.process import settings_for
from services.orders.settings import Settings
from services.runtime.clients import admin
from services.runtime.describe import partition_count
from services.runtime.logs import log

_PATIENCE_S = 60  # members that were stopped stay until their session ends


def rewind(settings: Settings, application: str, topic: str) -> int:
    """How many partitions. Raises KafkaException."""
    client = admin(settings)
    count = partition_count(client, topic)
    start = ConsumerGroupTopicPartitions(
        application, [TopicPartition(topic, number, 0) for number in range(count)]
    )
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            answer = client.alter_consumer_group_offsets([start])[application].result()
            for partition in answer.topic_partitions:
                if partition.error is not None:
                    raise KafkaException(partition.error)
            return count
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise
            log(__name__, "not yet", level=logging.INFO, reason=str(error))
        time.sleep(0.5)


def main(arguments: Sequence[str]) -> int:
    settings = settings_for("rewind", arguments[2:])
    if settings is None or len(arguments) < 2 or arguments[0] not in topics.APPLICATIONS:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    try:
        count = rewind(settings, arguments[0], arguments[1])
    except KafkaException as error:
        sys.stderr.write(f"rewind: {error}\n")
        return 1
    sys.stdout.write(f"{arguments[0]} will read {count} partitions of {arguments[1]} from the start\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

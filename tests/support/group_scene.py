"""A topic of its own and a group of its own, on a broker of tests with real clients."""

from __future__ import annotations

from itertools import count

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.broker import LogdBroker
from tests.support.group_members import Group

_names = count()


class Scene:
    """What is produced, who reads it, and what is committed."""

    def __init__(self, broker: LogdBroker, partitions: int = 6) -> None:
        self.broker = broker
        self.partitions = partitions
        self.topic = f"scene-{next(_names)}"
        self.group_id = f"group-of-{self.topic}"
        self.ends = [0] * partitions
        """What was produced to each partition (exclusive)."""
        self.group = Group(lambda: broker.bootstrap, self.group_id, self.topic, partitions)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        for created in admin.create_topics([NewTopic(self.topic, partitions, 1)]).values():
            created.result(60)

    def produce(self, each: int) -> list[tuple[int, int]]:
        """Add so many records to every partition; return partition and offset of all of them."""
        producer = Producer({"bootstrap.servers": self.broker.bootstrap, "acks": "all"})
        for _ in range(each):
            for partition in range(self.partitions):
                producer.produce(self.topic, b"v", partition=partition)
            producer.poll(0)
        assert producer.flush(60) == 0
        made = [
            (partition, end + number) for partition, end in enumerate(self.ends) for number in range(each)
        ]
        self.ends = [end + each for end in self.ends]
        return made

    def committed(self) -> list[int]:
        """The group's offset of each partition, 0 where it has committed none."""
        consumer = Consumer({"bootstrap.servers": self.broker.bootstrap, "group.id": self.group_id})
        try:
            wanted = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
            found = consumer.committed(wanted, timeout=60)
            assert all(row.error is None for row in found)
            return [max(0, row.offset) for row in found]
        finally:
            consumer.close()

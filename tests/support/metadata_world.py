"""A cluster's metadata for tests: commands are decided and replayed at once, randomness is a counter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocol.configs import ConfigResourceType
from protocol.messages.message import Message
from protocol.types import NodeId
from replication.broker_registration import BrokerRegistration, Endpoint
from replication.controller import Controller
from replication.features import SUPPORTED_FEATURES, bootstrap_records
from replication.metadata_commands import Command, CreateTopics, NewTopic, RegisterBroker, TopicCreation
from replication.metadata_image import MetadataDelta, MetadataImage


class CountingEntropy:
    """Ids 1, 2, 3… and always the first of a choice."""

    def __init__(self) -> None:
        self.drawn = 0

    def uuid(self) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(16, "big")

    def below(self, bound: int) -> int:
        assert bound > 0
        return 0


class World:
    """One image, its controller, and the records it was made of."""

    def __init__(self, brokers: int = 1, *, partitions: int = 1, replication_factor: int = 1) -> None:
        self.image = MetadataImage()
        self.entropy = CountingEntropy()
        self.controller = Controller(
            self.image,
            partitions=partitions,
            replication_factor=replication_factor,
            rules=NonsenseRules(),
        )
        self.log: list[Message] = []
        self.replay(bootstrap_records())
        for node_id in range(1, brokers + 1):
            self.submit(RegisterBroker(registration(node_id)))

    def submit(self, command: Command) -> object:
        decision = self.controller.decide(command, len(self.log), self.entropy)
        self.delta = self.replay(decision.records)
        return decision.reply

    def create(self, *topics: NewTopic | str, validate_only: bool = False) -> list[TopicCreation]:
        news = [NewTopic(topic) if isinstance(topic, str) else topic for topic in topics]
        creations = self.submit(CreateTopics(news, validate_only))
        assert isinstance(creations, list)
        return creations

    def replay(self, records: object) -> MetadataDelta:
        delta = MetadataDelta()
        for record in records:  # type: ignore[attr-defined]
            self.image.replay(len(self.log), record, delta)
            self.log.append(record)
        return delta


def registration(node_id: NodeId, **changes: object) -> BrokerRegistration:
    """Return what a broker with one listener says of itself."""
    return BrokerRegistration(
        node_id=node_id,
        broker_epoch=-1,
        incarnation_id=node_id.to_bytes(16, "little"),
        endpoints={"PLAINTEXT": Endpoint("host", 9000 + node_id, 0)},
        features=SUPPORTED_FEATURES,
        rack=None,
        fenced=True,
        in_controlled_shutdown=False,
        log_dirs=(bytes([0xD0, node_id]) * 8,),
    )._replace(**changes)  # type: ignore[arg-type]


class NonsenseRules:
    """A table in which `nonsense` is not allowed, and whatever ends in `s` is a list."""

    def list_default(self, resource_type: int, name: str) -> str | None:
        return "default" if name.endswith("s") else None

    def topic_problem(self, changed: Mapping[str, str], kept: Mapping[str, str]) -> str | None:
        return "what is nonsense?" if "nonsense" in changed else None

    def broker_problem(
        self, changed: Mapping[str, str], cluster: Mapping[str, str], node: Mapping[str, str]
    ) -> str | None:
        return self.topic_problem(changed, {})

    def group_problem(self, changed: Mapping[str, str], kept: Mapping[str, str]) -> str | None:
        return self.topic_problem(changed, kept)


def state_of(image: MetadataImage) -> tuple[Any, ...]:
    """Return everything an image says, comparable."""
    return (
        {name: (topic.topic_id, topic.internal, topic.partitions) for name, topic in image.topics.items()},
        {topic_id: topic.name for topic_id, topic in image.topics_by_id.items()},
        {name: dict(image.topic_configs(name)) for name in image.topics},
        {
            name: dict(image.configs(ConfigResourceType.BROKER, name))
            for name in ("", "1")
            if image.configs(ConfigResourceType.BROKER, name)
        },
        {name: image.colliding_topic(name) for name in image.topics},
        image.brokers,
        image.features,
        image.next_producer_id,
    )

"""Members of consumer groups as clients are: for tests of what the coordinator tells them."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from coordinator.consumer.group import ConsumerGroup
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.message import Message
from tests.support.groups import GroupWorld

Partitions = Mapping[bytes, Set[int]]


def topic_partitions(partitions: Partitions) -> list[ConsumerGroupHeartbeatRequest.TopicPartitions]:
    return [
        ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=topic_id, partitions=sorted(numbers))
        for topic_id, numbers in partitions.items()
    ]


def heartbeat(member_id: str, epoch: int, *, group_id: str = "g", **fields: Any) -> Message:
    """Return a heartbeat that says nothing but what is given."""
    return ConsumerGroupHeartbeatRequest(group_id=group_id, member_id=member_id, member_epoch=epoch, **fields)


def joining(member_id: str, *topics: str, group_id: str = "g", **fields: Any) -> Message:
    """Return the heartbeat of a member that joins."""
    given: dict[str, Any] = {"rebalance_timeout_ms": 30_000, "topic_partitions": [], **fields}
    if "subscribed_topic_regex" not in given:
        given["subscribed_topic_names"] = list(topics)
    return heartbeat(member_id, 0, group_id=group_id, **given)


def group_of(world: GroupWorld, group_id: str = "g") -> ConsumerGroup:
    group = world.shard.state.groups[group_id]
    assert isinstance(group, ConsumerGroup)
    return group


class Consumer:
    """One client: it revokes what it is told to, and takes what it is given."""

    def __init__(
        self, world: GroupWorld, member_id: str, *topics: str, group_id: str = "g", **fields: Any
    ) -> None:
        self.world = world
        self.member_id = member_id
        self.group_id = group_id
        self.topics = topics
        self.fields = fields
        self.epoch = 0
        self.owned: dict[bytes, frozenset[int]] = {}
        """What it uses."""
        self.told: dict[bytes, frozenset[int]] = {}
        """What it was last told to own."""
        self.lost = False
        """The answer to the next heartbeat does not arrive."""
        self.unsure = False
        """It does not know what became of its last heartbeat."""
        self.slow = False
        """It goes on using what it was told to give up."""

    def join(self) -> Any:
        self.epoch, self.owned, self.told = 0, {}, {}
        return self._send(joining(self.member_id, *self.topics, group_id=self.group_id, **self.fields))

    def beat(self, **fields: Any) -> Any:
        """Send a heartbeat that tells what it owns; join when it has to."""
        if self.epoch == 0:
            return self.join()
        self._take(dict(self.told))
        if "instance_id" in self.fields:
            fields["instance_id"] = self.fields["instance_id"]
        if self.unsure:  # as clients do after every failure
            self.unsure = False
            everything = {"rebalance_timeout_ms": 30_000, "subscribed_topic_names": list(self.topics)}
            fields = everything | self.fields | fields
        return self._send(
            heartbeat(
                self.member_id,
                self.epoch,
                group_id=self.group_id,
                topic_partitions=topic_partitions(self.owned),
                **fields,
            )
        )

    def leave(self, epoch: int = -1) -> Any:
        self.owned = {}
        request = heartbeat(
            self.member_id, epoch, group_id=self.group_id, instance_id=self.fields.get("instance_id")
        )
        return self.world.call(request)

    @property
    def partitions(self) -> set[tuple[bytes, int]]:
        return {(topic_id, number) for topic_id, numbers in self.owned.items() for number in numbers}

    def _take(self, assigned: dict[bytes, frozenset[int]]) -> None:
        if self.slow:
            for topic_id, numbers in self.owned.items():
                assigned[topic_id] = assigned.get(topic_id, frozenset()) | numbers
        self.owned = assigned

    def _send(self, request: Message) -> Any:
        response = self.world.call(request)
        if self.lost or isinstance(response, ErrorCode):
            self.lost = False
            self.unsure = True
            return response
        if response.error_code:
            self.epoch, self.owned, self.told = 0, {}, {}
            return response
        self.epoch = response.member_epoch
        if response.assignment is not None:
            self.told = {
                topic.topic_id: frozenset(topic.partitions) for topic in response.assignment.topic_partitions
            }
            self._take(dict(self.told))
        return response


def settle(world: GroupWorld, *consumers: Consumer, rounds: int = 12) -> None:
    """Let everybody send heartbeats until nothing changes any more."""
    for consumer in consumers:
        consumer.slow = False
    for _ in range(rounds):
        world.tick(2_000)
        for consumer in consumers:
            consumer.beat()

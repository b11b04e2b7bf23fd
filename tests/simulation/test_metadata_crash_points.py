"""A crash behind every file operation of the metadata log's life, in every kind of loss.

Goal: what was answered is there; of the command in hand all or nothing; the log opens without help.
Method: a fixed workload of two starts, topics, deletions, producer ids, snapshots and a clean stop runs on the faulty
file system. Behind each operation the disk that a crash would leave is opened and compared with what was answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from copy import copy

import pytest

from logd.metadata.log import MetadataLog
from logd.metadata.recovery import recover_metadata
from protocol.configs import ConfigOperation, ConfigResourceType
from replication.controller import Controller
from replication.metadata_commands import (
    AllocateProducerIds,
    AlterConfigs,
    Command,
    ConfigChange,
    CreateTopics,
    DeleteTopics,
    NewTopic,
    RaiseLeaderEpochs,
)
from replication.metadata_image import MetadataDelta, MetadataImage
from storage.fs.faulty import FaultyFileSystem, Loss, Operation
from tests.support.metadata_store import DEFAULT_RULES, NODE_ID, Clock, SeededEntropy, open_store
from tests.support.metadata_world import registration, state_of

SNAPSHOT_AFTER_BYTES = 2500


def workload(image: MetadataImage) -> Iterator[Command]:
    for number in range(14):
        yield CreateTopics([NewTopic(f"t{number}", 2, 1, configs=(("retention.ms", str(number)),))])
        if number % 3 == 2:
            yield DeleteTopics([image.topics[f"t{number - 1}"].topic_id])
        if number % 4 == 3:
            keep, drop = (ConfigOperation.SET, str(number)), (ConfigOperation.DELETE, None)
            yield AlterConfigs(
                [
                    ConfigChange(
                        ConfigResourceType.TOPIC, f"t{number}", {"retention.ms": drop, "flush.ms": keep}
                    ),
                    ConfigChange(ConfigResourceType.BROKER, "", {"max.connections": keep}),
                    ConfigChange(
                        ConfigResourceType.BROKER, "1", {"max.connections": drop if number > 8 else keep}
                    ),
                ]
            )
        if number % 5 == 4:
            yield AllocateProducerIds(NODE_ID)
            yield RaiseLeaderEpochs(NODE_ID)


class Watch:
    """Opens what a crash would leave behind each operation."""

    def __init__(self, fs: FaultyFileSystem, loss: Loss) -> None:
        self.fs = fs
        self.loss = loss
        self.answered: object = None
        self.in_hand: object = None
        self.points = 0
        fs.after = self.crash

    def crash(self, operation: Operation) -> None:
        self.points += 1
        disk = self.fs.crash(self.loss)
        image = recover_metadata(disk, "/data", node_id=NODE_ID, clean=False, now_ms=1).image
        assert facts(image) in (self.answered, self.in_hand), f"after {operation}"


def facts(image: MetadataImage) -> object:
    """Return what commands are answered for: not registrations and the first records, on which nothing hangs."""
    topics, by_id, configs, broker_configs, collisions, _, _, next_producer_id = state_of(image)
    return topics, by_id, configs, broker_configs, collisions, next_producer_id


def outcome(store: MetadataLog, command: Command, entropy: SeededEntropy) -> object:
    """Return what will be once `command` has taken effect."""
    image = store.image.copy()
    controller = Controller(image, partitions=1, replication_factor=1, rules=DEFAULT_RULES)
    for record in controller.decide(command, image.offset + 1, copy(entropy)).records:
        image.replay(image.offset + 1, record, MetadataDelta())
    return facts(image)


@pytest.mark.parametrize("loss", Loss)
def test_every_crash_point(loss: Loss, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    async def scenario() -> None:
        fs = FaultyFileSystem(seed=11)
        fs.makedirs("/data")
        fs.sync_dir("/")
        clock = Clock()
        watch = Watch(fs, loss)
        watch.answered = watch.in_hand = facts(MetadataImage())
        for start in range(2):
            entropy = SeededEntropy(start)
            store = open_store(
                fs, seed=entropy, clock=clock, snapshot_after_bytes=SNAPSHOT_AFTER_BYTES, clean=start == 1
            )
            store.register_broker(registration(NODE_ID))
            for command in workload(store.image) if start == 0 else [AllocateProducerIds(NODE_ID)] * 9:
                watch.in_hand = outcome(store, command, entropy)
                await store.submit(command)
                watch.answered = facts(store.image)
                assert watch.answered == watch.in_hand
                clock.now_ms += 9_000  # the recovery point is put down now and then
            await store.close()
        assert watch.points > 150

    asyncio.run(scenario())

"""Registration of brokers, leader epochs at a restart, and blocks of producer ids."""

from __future__ import annotations

import pytest

from protocol.errors import BrokerError, ErrorCode
from protocol.messages.records_metadata import (
    BrokerRegistrationChangeRecord,
    FeatureLevelRecord,
    ProducerIdsRecord,
)
from replication.controller import PRODUCER_ID_BLOCK_SIZE, PRODUCER_ID_MAX
from replication.metadata_commands import (
    AllocateProducerIds,
    NewTopic,
    ProducerIdBlock,
    RaiseLeaderEpochs,
    RegisterBroker,
    UnregisterBroker,
)
from tests.support.metadata_world import World, registration


def test_a_registered_broker_is_live_and_its_epoch_is_the_offset_of_its_record() -> None:
    world = World(0)
    next_offset = len(world.log)
    reply = world.submit(RegisterBroker(registration(5)))
    assert world.image.live_broker(5) == reply
    assert world.image.brokers[5].broker_epoch == next_offset
    assert world.image.brokers[5].endpoints["PLAINTEXT"].port == 9005
    assert world.delta.changed_brokers[-1] == 5


def test_a_restarted_broker_replaces_its_former_registration() -> None:
    world = World()
    former = world.image.brokers[1]
    world.submit(RegisterBroker(registration(1, incarnation_id=b"n" * 16, rack="r2")))
    now = world.image.brokers[1]
    assert now.broker_epoch > former.broker_epoch
    assert (now.incarnation_id, now.rack, now.fenced) == (b"n" * 16, "r2", False)


def test_a_broker_that_cannot_work_at_the_finalised_level_is_refused() -> None:
    world = World(0)
    with pytest.raises(BrokerError) as refusal:
        world.submit(RegisterBroker(registration(1, features={"metadata.version": (1, 29)})))
    assert refusal.value.code == ErrorCode.UNSUPPORTED_VERSION
    assert not world.image.brokers


def test_what_came_after_a_cluster_was_begun_is_finalised_with_the_next_registration() -> None:
    world = World(0)
    assert "group.version" not in world.image.features
    reply = world.submit(RegisterBroker(registration(5)))
    assert world.image.features["group.version"] == 1
    assert world.image.brokers[5].broker_epoch == reply.broker_epoch
    end = len(world.log)
    world.submit(RegisterBroker(registration(5)))
    assert not [record for record in world.log[end:] if isinstance(record, FeatureLevelRecord)]


def fence(world: World, node_id: int) -> None:
    epoch = world.image.brokers[node_id].broker_epoch
    world.replay([BrokerRegistrationChangeRecord(broker_id=node_id, broker_epoch=epoch, fenced=1)])


def test_a_broker_that_is_gone_is_forgotten() -> None:
    world = World(2)
    fence(world, 2)
    assert world.submit(UnregisterBroker(2)) is None
    assert list(world.image.brokers) == [1]
    assert world.delta.changed_brokers == [2]


@pytest.mark.parametrize(
    ("node_id", "code"),
    [
        (7, ErrorCode.BROKER_ID_NOT_REGISTERED),
        (-1, ErrorCode.BROKER_ID_NOT_REGISTERED),
        (1, ErrorCode.INVALID_REQUEST),
        (2, ErrorCode.INVALID_REQUEST),
    ],
    ids=["unknown", "nobody", "live", "holds replicas"],
)
def test_a_broker_in_use_is_not_forgotten(node_id: int, code: ErrorCode) -> None:
    world = World(2)
    world.create(NewTopic("t", assignments=((0, (1, 2)),)))
    fence(world, 2)
    with pytest.raises(BrokerError) as refusal:
        world.submit(UnregisterBroker(node_id))
    assert refusal.value.code is code
    assert list(world.image.brokers) == [1, 2]


def test_raising_leader_epochs_starts_a_new_term_where_the_node_leads_and_nowhere_else() -> None:
    world = World(2)
    world.create(NewTopic("t", 4, 2))
    assert world.submit(RaiseLeaderEpochs(1)) == 2
    states = world.image.topics["t"].partitions.values()
    assert [(state.leader_id, state.leader_epoch, state.partition_epoch) for state in states] == [
        (1, 1, 1),
        (2, 0, 0),
        (1, 1, 1),
        (2, 0, 0),
    ]
    assert [index for _, index, _ in world.delta.changed_partitions] == [0, 2]


def test_blocks_of_producer_ids_never_overlap() -> None:
    world = World(2)
    blocks = [world.submit(AllocateProducerIds(node_id)) for node_id in (1, 2, 1)]
    assert blocks == [
        ProducerIdBlock(start * PRODUCER_ID_BLOCK_SIZE, PRODUCER_ID_BLOCK_SIZE) for start in range(3)
    ]
    assert world.image.next_producer_id == 3 * PRODUCER_ID_BLOCK_SIZE


def test_two_blocks_are_not_decided_side_by_side() -> None:
    world = World()
    first = world.controller.decide(AllocateProducerIds(1), 0, world.entropy)
    second = world.controller.decide(AllocateProducerIds(1), 0, world.entropy)
    assert first.touches & second.touches


def test_producer_ids_run_out_without_wrapping() -> None:
    world = World()
    world.replay([ProducerIdsRecord(broker_id=1, broker_epoch=1, next_producer_id=PRODUCER_ID_MAX - 5)])
    with pytest.raises(BrokerError):
        world.submit(AllocateProducerIds(1))


def test_an_unregistered_broker_gets_no_producer_ids() -> None:
    with pytest.raises(BrokerError) as refusal:
        World(0).submit(AllocateProducerIds(1))
    assert refusal.value.code == ErrorCode.BROKER_ID_NOT_REGISTERED

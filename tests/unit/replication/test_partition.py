"""Goal: what a leader acknowledges and shows is bounded by the high watermark, whatever holds that back."""

from collections.abc import Callable

import pytest

from protocol.errors import BrokerError, ErrorCode
from replication.partition import (
    ACKS_ALL,
    DELETE_TO_HIGH_WATERMARK,
    READ_COMMITTED,
    READ_UNCOMMITTED,
    Partition,
)
from replication.partition_state import NO_LEADER
from tests.support.replica_log import ME, FakePartition, FakeReplicaLog, append, follow, lead, partition_of

CONSUMER = -1


@pytest.fixture
def log() -> FakeReplicaLog:
    return FakeReplicaLog()


@pytest.fixture
def sole(log: FakeReplicaLog) -> FakePartition:
    """The leader and only replica."""
    partition = partition_of(log)
    lead(partition)
    return partition


@pytest.fixture
def held(log: FakeReplicaLog) -> FakePartition:
    """The leader, with one follower in sync that has not fetched."""
    partition = partition_of(log)
    lead(partition, 2)
    return partition


def refused(code: ErrorCode, call: Callable[[], object]) -> None:
    with pytest.raises(BrokerError) as refusal:
        call()
    assert refusal.value.code is code


# -- the high watermark --------------------------------------------------------------------------------------


def test_a_sole_replica_acknowledges_and_shows_at_once(sole: FakePartition) -> None:
    result = append(sole, 3)
    assert sole.high_watermark == 3
    assert sole.has_acknowledged(result, ACKS_ALL)
    assert sole.has_acknowledged(result, 1)
    assert sole.read_bound(READ_UNCOMMITTED, CONSUMER) == sole.read_bound(READ_COMMITTED, CONSUMER) == 3


def test_a_follower_that_has_not_fetched_holds_everything_back(held: FakePartition) -> None:
    result = append(held, 3)
    assert held.high_watermark == held.last_stable_offset == 0
    assert held.read_bound(READ_UNCOMMITTED, CONSUMER) == 0
    assert held.read_bound(READ_COMMITTED, CONSUMER) == 0
    assert held.read_bound(READ_UNCOMMITTED, 2) == held.read_bound(READ_COMMITTED, 2) == 3
    assert not held.has_acknowledged(result, ACKS_ALL)
    assert held.has_acknowledged(result, 1)

    assert held.update_follower(2, 2)
    assert held.high_watermark == held.read_bound(READ_COMMITTED, CONSUMER) == 2
    assert not held.has_acknowledged(result, ACKS_ALL)
    assert not held.update_follower(2, 2)
    assert held.update_follower(2, 3)
    assert held.has_acknowledged(result, ACKS_ALL)


def test_the_slowest_in_sync_replica_counts_and_only_those(log: FakeReplicaLog) -> None:
    partition = partition_of(log)
    lead(partition, 2, 3, assigned=(1, 2, 3, 4))
    append(partition, 10)
    assert not partition.update_follower(4, 1)
    assert not partition.update_follower(2, 9)
    assert partition.update_follower(3, 5)
    assert partition.high_watermark == 5
    assert partition.update_follower(3, 12)  # a follower may be ahead of a leader that lost its tail
    assert partition.high_watermark == 9
    assert partition.update_follower(2, 12)
    assert partition.high_watermark == 10


def test_the_high_watermark_never_falls(held: FakePartition) -> None:
    append(held, 10)
    held.update_follower(2, 8)
    assert not held.update_follower(2, 3)
    assert held.high_watermark == 8
    assert not lead(held, 2, epoch=1)
    assert held.high_watermark == 8


def test_when_a_follower_leaves_the_in_sync_set_it_holds_nothing_back(held: FakePartition) -> None:
    append(held, 10)
    assert lead(held, partition_epoch=1, assigned=(1, 2))
    assert held.high_watermark == 10
    assert held.in_sync_replicas == (ME,)


def test_a_change_of_the_replica_set_keeps_what_followers_reported(held: FakePartition) -> None:
    append(held, 10)
    held.update_follower(2, 10)
    append(held, 5)
    lead(held, 2, partition_epoch=1, assigned=(1, 2, 3))
    held.update_follower(2, 15)
    assert held.high_watermark == 15


def test_in_a_new_epoch_followers_must_report_again(held: FakePartition) -> None:
    append(held, 10)
    held.update_follower(2, 12)  # with records of another leader, which it is about to lose
    lead(held, 2, epoch=1)
    append(held, 2)
    assert held.high_watermark == 10
    held.update_follower(2, 11)
    assert held.high_watermark == 11


def test_below_the_minimum_of_in_sync_replicas_it_stands_still(log: FakeReplicaLog) -> None:
    log.config.min_insync_replicas = 2
    partition = partition_of(log)
    lead(partition, 2)
    append(partition, 5)
    partition.update_follower(2, 5)
    assert not lead(partition, partition_epoch=1, assigned=(1, 2))
    append(partition, 1, acks=1)
    assert partition.high_watermark == 5
    lead(partition, 2, partition_epoch=2)
    assert partition.update_follower(2, 6)


def test_transactions_are_told_only_when_there_are_any(sole: FakePartition) -> None:
    append(sole)
    assert sole.log.producers.high_watermarks == []
    sole.log.producers.first_unstable_offset = 1
    append(sole)
    assert sole.log.producers.high_watermarks == [2]


# -- opening -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("checkpointed", "taken"), [(0, 5), (5, 5), (7, 7), (10, 10), (12, 10)])
def test_a_checkpointed_high_watermark_is_bounded_by_the_log(checkpointed: int, taken: int) -> None:
    log = FakeReplicaLog(log_start_offset=5, log_end_offset=10)
    partition = partition_of(log, high_watermark=checkpointed)
    assert partition.high_watermark == taken
    lead(partition, 2)
    assert partition.high_watermark == taken


def test_a_sole_replica_moves_to_its_log_end_when_it_becomes_leader() -> None:
    log = FakeReplicaLog(log_end_offset=10, recovery_point=3)
    partition = partition_of(log, high_watermark=4)
    assert lead(partition, epoch=6)
    assert partition.high_watermark == 10
    assert log.leader_epochs.assigned == [(6, 10)]


# -- durability ----------------------------------------------------------------------------------------------


def test_while_a_demanded_flush_is_under_way_nothing_is_acknowledged_or_shown(
    sole: FakePartition, log: FakeReplicaLog
) -> None:
    append(sole, 2)
    log.flush_demanded = True
    result = append(sole, 3)
    assert sole.high_watermark == 2
    assert not sole.has_acknowledged(result, ACKS_ALL)
    assert not sole.has_acknowledged(result, 1)

    log.recovery_point = 4
    assert sole.log_flushed()
    assert sole.high_watermark == 4
    assert not sole.has_acknowledged(result, 1)

    log.recovery_point = 5
    assert sole.log_flushed()
    assert sole.has_acknowledged(result, ACKS_ALL) and sole.has_acknowledged(result, 1)
    assert not sole.log_flushed()


def test_appends_behind_a_demanded_flush_wait_with_it(sole: FakePartition, log: FakeReplicaLog) -> None:
    log.flush_demanded = True
    append(sole, 3)
    log.flush_demanded = False
    behind = append(sole, 4)
    assert sole.high_watermark == 0
    assert sole.has_acknowledged(behind, 1)
    log.recovery_point = 3
    assert sole.log_flushed()
    assert sole.high_watermark == 7


def test_the_leaders_durable_end_and_its_followers_both_count(
    held: FakePartition, log: FakeReplicaLog
) -> None:
    log.flush_demanded = True
    result = append(held, 3)
    assert not held.update_follower(2, 3)
    log.recovery_point = 3
    assert held.log_flushed()
    assert held.has_acknowledged(result, ACKS_ALL)


# -- writing -------------------------------------------------------------------------------------------------


def test_batches_are_written_in_the_leaders_epoch(log: FakeReplicaLog) -> None:
    partition = partition_of(log)
    lead(partition, epoch=4)
    append(partition)
    lead(partition, epoch=6)
    append(partition)
    assert log.written_in == [4, 6]


def test_too_few_replicas_refuse_acks_all_and_nothing_else(log: FakeReplicaLog) -> None:
    log.config.min_insync_replicas = 2
    partition = partition_of(log)
    lead(partition, assigned=(1, 2, 3))
    refused(ErrorCode.NOT_ENOUGH_REPLICAS, lambda: append(partition, acks=ACKS_ALL))
    assert log.log_end_offset == 0
    append(partition, acks=1)
    append(partition, acks=0)
    assert log.log_end_offset == 2


def test_no_more_replicas_are_demanded_than_there_are(log: FakeReplicaLog) -> None:
    log.config.min_insync_replicas = 3
    partition = partition_of(log)
    lead(partition)
    assert partition.has_acknowledged(append(partition), ACKS_ALL)


def test_what_the_log_refuses_is_passed_on(sole: FakePartition, log: FakeReplicaLog) -> None:
    log.refuse_with = ErrorCode.CORRUPT_MESSAGE
    refused(ErrorCode.CORRUPT_MESSAGE, lambda: append(sole))
    assert sole.high_watermark == 0


# -- roles ---------------------------------------------------------------------------------------------------


def test_without_a_role_nothing_is_served(log: FakeReplicaLog) -> None:
    partition = partition_of(log)
    for call in (lambda: append(partition), lambda: partition.check_leader(-1)):
        refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, call)
    assert not partition.is_leader and not partition.is_offline


def test_after_resigning_nothing_is_served_until_leader_again(held: FakePartition) -> None:
    append(held, 4)
    held.resign(leader_id=2, leader_epoch=1, partition_epoch=1)
    assert (held.leader_id, held.leader_epoch, held.is_leader) == (2, 1, False)
    refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, lambda: append(held))
    refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, lambda: held.update_follower(2, 4))
    assert not held.log_flushed()
    assert held.high_watermark == 0
    lead(held, epoch=2, partition_epoch=2)
    assert held.high_watermark == 4


def test_stale_role_changes_are_ignored(sole: FakePartition) -> None:
    lead(sole, epoch=5, partition_epoch=9)
    follow(sole, epoch=4, partition_epoch=10)
    follow(sole, epoch=5, partition_epoch=8)
    assert not lead(sole, 2, epoch=4, partition_epoch=10)
    assert not lead(sole, 2, epoch=5, partition_epoch=8)
    assert sole.is_leader and sole.in_sync_replicas == (ME,)
    assert (sole.leader_epoch, sole.partition_epoch) == (5, 9)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (Partition.go_offline, ErrorCode.KAFKA_STORAGE_ERROR),
        (Partition.delete, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_there_is_no_way_back_from_offline(
    sole: FakePartition, end: Callable[[FakePartition], None], code: ErrorCode
) -> None:
    end(sole)
    assert sole.is_offline and not sole.is_leader
    lead(sole, epoch=9)
    follow(sole, epoch=9)
    for call in (
        lambda: append(sole),
        lambda: sole.check_leader(-1),
        lambda: sole.check_leader(0),
        lambda: sole.check_leader(7),
        lambda: sole.update_follower(2, 0),
    ):
        refused(code, call)


@pytest.mark.parametrize(
    ("epoch", "leading", "not_leading"),
    [
        (-1, None, ErrorCode.NOT_LEADER_OR_FOLLOWER),
        (5, None, ErrorCode.NOT_LEADER_OR_FOLLOWER),
        (4, ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.FENCED_LEADER_EPOCH),
        (6, ErrorCode.UNKNOWN_LEADER_EPOCH, ErrorCode.UNKNOWN_LEADER_EPOCH),
    ],
)
def test_the_epoch_in_a_request_is_compared(
    log: FakeReplicaLog, epoch: int, leading: ErrorCode | None, not_leading: ErrorCode
) -> None:
    partition = partition_of(log)
    lead(partition, epoch=5)
    if leading is None:
        partition.check_leader(epoch)
    else:
        refused(leading, lambda: partition.check_leader(epoch))
    follow(partition, epoch=5)
    refused(not_leading, lambda: partition.check_leader(epoch))


@pytest.mark.parametrize("replica", [1, 3, -1])
def test_only_assigned_followers_report(held: FakePartition, replica: int) -> None:
    refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, lambda: held.update_follower(replica, 10))


def test_a_leader_is_one_of_its_in_sync_replicas(log: FakeReplicaLog) -> None:
    with pytest.raises(AssertionError):
        partition_of(log).become_leader(
            leader_epoch=0, partition_epoch=0, assigned_replicas=(1, 2), in_sync_replicas=(2,)
        )
    assert partition_of(log).leader_id == NO_LEADER


# -- the last stable offset ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unstable", "start", "stable"),
    [(None, 0, 8), (3, 0, 3), (8, 0, 8), (9, 0, 8), (3, 5, 5)],
)
def test_the_last_stable_offset(
    held: FakePartition, log: FakeReplicaLog, unstable: int | None, start: int, stable: int
) -> None:
    append(held, 10)
    held.update_follower(2, 8)
    log.producers.first_unstable_offset = unstable
    log.log_start_offset = start
    assert held.last_stable_offset == held.read_bound(READ_COMMITTED, CONSUMER) == stable
    assert held.read_bound(READ_UNCOMMITTED, CONSUMER) == 8


# -- deleting records ----------------------------------------------------------------------------------------


def test_records_are_given_up_to_an_offset_and_never_back(sole: FakePartition) -> None:
    append(sole, 10)
    assert [sole.delete_records(offset) for offset in (4, 4, 0)] == [4, 4, 4]


def test_nothing_is_given_up_that_is_not_replicated(held: FakePartition) -> None:
    append(held, 10)
    held.update_follower(2, 6)
    refused(ErrorCode.OFFSET_OUT_OF_RANGE, lambda: held.delete_records(7))
    assert held.log.log_start_offset == 0
    assert held.delete_records(DELETE_TO_HIGH_WATERMARK) == 6


@pytest.mark.parametrize("offset", [-2, -(2**63), 11, 2**63 - 1])
def test_offsets_that_are_none_give_up_nothing(sole: FakePartition, offset: int) -> None:
    append(sole, 10)
    refused(ErrorCode.OFFSET_OUT_OF_RANGE, lambda: sole.delete_records(offset))
    assert sole.log.log_start_offset == 0


def test_a_compacted_topic_gives_up_nothing(sole: FakePartition, log: FakeReplicaLog) -> None:
    append(sole, 10)
    log.config.deletes = False
    refused(ErrorCode.POLICY_VIOLATION, lambda: sole.delete_records(DELETE_TO_HIGH_WATERMARK))
    assert sole.log.log_start_offset == 0


def test_only_a_leader_gives_up_records(sole: FakePartition) -> None:
    append(sole, 10)
    sole.resign(leader_id=2, leader_epoch=9, partition_epoch=9)
    refused(ErrorCode.NOT_LEADER_OR_FOLLOWER, lambda: sole.delete_records(1))
    sole.go_offline()
    refused(ErrorCode.KAFKA_STORAGE_ERROR, lambda: sole.delete_records(1))

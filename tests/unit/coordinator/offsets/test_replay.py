"""Goal: commits of every version that brokers have ever written are taken in."""

from __future__ import annotations

import pytest

from coordinator.internal_records import GROUP_RECORDS, encode_key
from coordinator.offsets.store import NEVER, CommittedOffset
from protocol.codec import encode_bytes
from protocol.messages.records_group import LegacyOffsetCommitKey, OffsetCommitKey, OffsetCommitValue
from protocol.types import ZERO_UUID
from tests.support.classic_groups import GROUP
from tests.support.offset_world import OffsetWorld
from tests.support.shards import Written

TOPIC_ID = bytes(range(16))


@pytest.mark.parametrize("version", range(5))
def test_every_version_of_the_value(version: int) -> None:
    world = OffsetWorld()
    expires = 3_000 if version == 1 else NEVER
    epoch = 4 if version >= 3 else -1
    topic_id = TOPIC_ID if version >= 4 else ZERO_UUID
    value = OffsetCommitValue(
        offset=7,
        leader_epoch=epoch,
        metadata="m",
        commit_timestamp=2_000,
        expire_timestamp=expires,
        topic_id=topic_id,
    )
    key = encode_key(OffsetCommitKey(group=GROUP, topic="t", partition=1))
    world.log.append(Written(key, version.to_bytes(2, "big") + encode_bytes(value, version), None))
    world.restart()
    expected = CommittedOffset(7, epoch, "m", 2_000, expires, topic_id, 0)
    assert world.shard.state.offsets.get(GROUP, "t", 1) == expected


def test_the_oldest_key_and_its_tombstone() -> None:
    world = OffsetWorld()
    key = LegacyOffsetCommitKey(group=GROUP, topic="t", partition=1)
    value = bytes.fromhex("0000 0000000000000007 00016d 00000000000007d0")
    world.log.append(Written(encode_key(key), value, None))
    world.restart()
    expected = CommittedOffset(7, -1, "m", 2_000, NEVER, ZERO_UUID, 0)
    assert world.shard.state.offsets.get(GROUP, "t", 1) == expected
    decoded = GROUP_RECORDS.decode(encode_key(key), None)
    assert decoded is not None
    world.write(decoded.key, None)
    assert world.committed() == {}
    world.restart()
    assert world.committed() == {}


def test_a_group_of_the_log_is_not_made_anew_by_its_offsets() -> None:
    world = OffsetWorld()
    ids = world.stable(2)
    world.commit_offsets(("t", 0, 1), member_id=ids[0], generation_id=world.group.generation_id)
    world.restart()
    assert sorted(world.group.members) == sorted(ids)
    assert world.committed() == {("t", 0): 1}

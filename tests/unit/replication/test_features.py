"""Features of the cluster: finalised when they are new, changed one way or the other, all of a command or none."""

from __future__ import annotations

import pytest

from protocol.errors import BrokerError, ErrorCode
from protocol.messages.records_metadata import FeatureLevelRecord
from replication import features
from replication.features import SAFE_DOWNGRADE, SUPPORTED_FEATURES, UNSAFE_DOWNGRADE, UPGRADE
from replication.metadata_commands import FeatureUpdate, RegisterBroker, UpdateFeatures
from tests.support.metadata_world import World, registration

GROUPS = "group.version"
METADATA = "metadata.version"


def update(world: World, *updates: tuple[str, int, int], validate_only: bool = False) -> object:
    return world.submit(UpdateFeatures([FeatureUpdate(*each) for each in updates], validate_only))


def refusal(world: World, *updates: tuple[str, int, int]) -> str:
    end = len(world.log)
    with pytest.raises(BrokerError) as refused:
        update(world, *updates)
    assert refused.value.code == ErrorCode.INVALID_UPDATE_VERSION
    assert len(world.log) == end
    return refused.value.text


@pytest.mark.parametrize("kind", [SAFE_DOWNGRADE, UNSAFE_DOWNGRADE])
def test_a_feature_is_taken_back_and_comes_again(kind: int) -> None:
    world = World()
    assert update(world, (GROUPS, 0, kind)) is None
    assert GROUPS not in world.image.features
    update(world, (GROUPS, 1, UPGRADE))
    assert world.image.features[GROUPS] == 1


def test_what_was_taken_back_stays_so_when_its_broker_or_another_registers() -> None:
    world = World()
    update(world, (GROUPS, 0, SAFE_DOWNGRADE))
    world.submit(RegisterBroker(registration(1)))
    world.submit(RegisterBroker(registration(2)))
    assert GROUPS not in world.image.features


def test_a_feature_that_no_broker_knew_is_finalised_with_the_first_that_does() -> None:
    world = World(0)
    old = {name: levels for name, levels in SUPPORTED_FEATURES.items() if name != GROUPS}
    world.submit(RegisterBroker(registration(1, features=old)))
    assert GROUPS not in world.image.features
    world.submit(RegisterBroker(registration(1)))
    assert world.image.features[GROUPS] == SUPPORTED_FEATURES[GROUPS][1]


@pytest.mark.parametrize("kind", [UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE])
def test_the_level_that_holds_may_be_set_whichever_way_and_writes_nothing(kind: int) -> None:
    world = World()
    end = len(world.log)
    update(world, (GROUPS, 1, kind), (METADATA, 30, kind))
    assert len(world.log) == end


def test_checking_alone_changes_nothing() -> None:
    world = World()
    end = len(world.log)
    update(world, (GROUPS, 0, SAFE_DOWNGRADE), validate_only=True)
    assert len(world.log) == end
    with pytest.raises(BrokerError):
        update(world, (GROUPS, 2, UPGRADE), validate_only=True)


@pytest.mark.parametrize(
    ("feature", "level", "kind", "says"),
    [
        (GROUPS, 0, UPGRADE, "must be asked for"),
        (GROUPS, 2, UPGRADE, "levels 0 to 1"),
        (GROUPS, -1, SAFE_DOWNGRADE, "levels 0 to 1"),
        (GROUPS, 0, 0, "no upgrade type 0"),
        (GROUPS, 0, 4, "no upgrade type 4"),
        (METADATA, 29, UNSAFE_DOWNGRADE, "levels 30 to 30"),
        ("unheard.of", 0, SAFE_DOWNGRADE, "no such feature"),
        ("unheard.of", 1, UPGRADE, "no such feature"),
    ],
)
def test_levels_that_cannot_be_set(feature: str, level: int, kind: int, says: str) -> None:
    text = refusal(World(), (feature, level, kind))
    assert feature in text and says in text


def test_a_downgrade_to_more_is_none() -> None:
    world = World()
    update(world, (GROUPS, 0, SAFE_DOWNGRADE))
    assert "no downgrade" in refusal(world, (GROUPS, 1, UNSAFE_DOWNGRADE))


def test_all_features_change_or_none() -> None:
    world = World()
    refusal(world, (GROUPS, 0, SAFE_DOWNGRADE), (METADATA, 31, UPGRADE))
    assert world.image.features[GROUPS] == 1


def test_a_level_that_one_broker_cannot_work_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(features, "SUPPORTED_FEATURES", SUPPORTED_FEATURES | {GROUPS: (0, 2)})
    assert "broker 1 supports" in refusal(world, (GROUPS, 2, UPGRADE))


def test_the_record_is_kafkas() -> None:
    world = World()
    update(world, (GROUPS, 0, SAFE_DOWNGRADE))
    record = world.log[-1]
    assert isinstance(record, FeatureLevelRecord)
    assert (record.name, record.feature_level) == (GROUPS, 0)

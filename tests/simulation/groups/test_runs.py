"""Goal: whatever goes wrong, groups keep their promises, and are settled soon after it stops.

Method: 2,000 runs, each made from its seed alone: clients, coordinator, network and faults; checks.py says what holds
at every moment. A failure prints the command that replays it. For more:
`python -m tests.simulation.groups --seeds N --start S`.
"""

import pytest

from tests.simulation.groups.simulation import run

RUNS = 2000
_AT_ONCE = 100


@pytest.mark.parametrize("start", range(1, RUNS + 1, _AT_ONCE))
def test_runs(start: int) -> None:
    for seed in range(start, start + _AT_ONCE):
        run(seed)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(100_000, 140_000, 2_000))
def test_many_more_runs(start: int) -> None:
    for seed in range(start, start + 2_000):
        run(seed)


def test_the_runs_do_everything() -> None:
    """What never comes about proves nothing."""
    counts: set[str] = set()
    for seed in range(1, 201):
        counts |= run(seed).checker.counts.keys()
    missing = EXPECTED - counts
    assert not missing


EXPECTED = {
    "JoinGroupRequest NONE",
    "JoinGroupRequest MEMBER_ID_REQUIRED",
    "JoinGroupRequest UNKNOWN_MEMBER_ID",
    "JoinGroupRequest FENCED_INSTANCE_ID",
    "JoinGroupRequest REBALANCE_IN_PROGRESS",
    "SyncGroupRequest NONE",
    "SyncGroupRequest REBALANCE_IN_PROGRESS",
    "SyncGroupRequest COORDINATOR_NOT_AVAILABLE",
    "HeartbeatRequest NONE",
    "HeartbeatRequest REBALANCE_IN_PROGRESS",
    "HeartbeatRequest UNKNOWN_MEMBER_ID",
    "HeartbeatRequest FENCED_INSTANCE_ID",
    "OffsetCommitRequest NONE",
    "OffsetCommitRequest UNKNOWN_MEMBER_ID",
    "OffsetCommitRequest FENCED_INSTANCE_ID",
    "OffsetFetchRequest NONE",
    "LeaveGroupRequest NONE",
    "ConsumerGroupHeartbeatRequest NONE",
    "ConsumerGroupHeartbeatRequest UNKNOWN_MEMBER_ID",
    "ConsumerGroupHeartbeatRequest UNRELEASED_INSTANCE_ID",
    "became classic",
    "changed its protocol",
    "append refused",
    "loaded",
    "offsets fetched",
    "offset expired",
    "twin fenced",
}

"""The states of a classic group, what each request gets in them, and which may follow which.

                      ┌──── nobody left ─────────────────────────┐
                      ▼                                          │
    (new) ────────► EMPTY ─── first member ───────────► PREPARING_REBALANCE ◄──────────────┐
                                                                 │        ▲                │
                                                        all have joined   │ anything that  │
                                                                 ▼        │ concerns the   │
                                                       COMPLETING_REBALANCE  assignment    │
                                                                 │                         │
                                                    the leader's assignment is written     │
                                                                 ▼                         │
                                                              STABLE ──────────────────────┘

    any ─── deleted, expired, or the partition moved away ──► DEAD

Source: KIP-62; Kafka group-coordinator, ClassicGroupState.java.
"""

from __future__ import annotations

from enum import Enum


class ClassicState(Enum):
    """Values are the names that DescribeGroups and ListGroups tell."""

    EMPTY = "Empty"
    """No members; kept for its committed offsets.

    JoinGroup without member id: accepted. With one: UNKNOWN_MEMBER_ID, unless the id was given out and waits for its
    owner. SyncGroup, Heartbeat: UNKNOWN_MEMBER_ID. LeaveGroup: UNKNOWN_MEMBER_ID for each member.
    """

    PREPARING_REBALANCE = "PreparingRebalance"
    """Members are asked to join again, and wait until all have.

    JoinGroup: waits. SyncGroup, Heartbeat: REBALANCE_IN_PROGRESS. LeaveGroup: the member goes; it may have been the
    last that was waited for. Commits of the generation before are accepted.
    """

    COMPLETING_REBALANCE = "CompletingRebalance"
    """A generation has begun; its leader makes the assignment.

    JoinGroup: answered from the generation when nothing changed, else all begins anew. SyncGroup: of the leader, it is
    written, and answers all; of others, waits. Heartbeat: fine. LeaveGroup: all begins anew. Commits:
    REBALANCE_IN_PROGRESS.
    """

    STABLE = "Stable"
    """Every member has, or can get, its assignment.

    JoinGroup: of a follower without changes, answered from the generation, else all begins anew. SyncGroup: answered.
    Heartbeat: fine. LeaveGroup: all begins anew.
    """

    DEAD = "Dead"
    """Gone. No shard holds such a group; DescribeGroups tells it of those that are not there."""


PREDECESSORS: dict[ClassicState, frozenset[ClassicState]] = {
    ClassicState.EMPTY: frozenset({ClassicState.PREPARING_REBALANCE}),
    ClassicState.PREPARING_REBALANCE: frozenset(
        {ClassicState.EMPTY, ClassicState.COMPLETING_REBALANCE, ClassicState.STABLE}
    ),
    ClassicState.COMPLETING_REBALANCE: frozenset({ClassicState.PREPARING_REBALANCE}),
    ClassicState.STABLE: frozenset({ClassicState.COMPLETING_REBALANCE}),
    ClassicState.DEAD: frozenset(ClassicState) - {ClassicState.DEAD},
}
"""Which states may come before each; checked by `ClassicGroup.become` alone."""

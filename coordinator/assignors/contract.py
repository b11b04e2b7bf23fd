"""What an assignor is given and what it returns.

An assignor says which member of a KIP-848 group should have which partitions: the target assignment. How members come
to it, one revoking before another takes, is not its business. It is a pure function of its arguments; members are
taken in the order of their ids, so that what it answers does not depend on the order in which they joined.

For every assignor:
- each member of the group is in the answer; each partition of a subscribed topic has exactly one of its subscribers;
- an assignment that does not change is the very object that was given, so `is` tells who got a new one.

Source: KIP-848; Kafka group-coordinator-api, GroupSpec.java, GroupAssignment.java.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

Assignment: TypeAlias = Mapping[bytes, frozenset[int]]
"""By topic id, the partitions of one member; a topic of which it has none is absent. Never changed in place."""

PartitionCounts: TypeAlias = Mapping[bytes, int]
"""By topic id, the partitions of the topics that exist."""


class MemberSpec(NamedTuple):
    """One member, as an assignor sees it."""

    topics: AbstractSet[bytes]
    """Ids of the topics it is subscribed to, by name or by pattern. Ids that have no partition count are ignored."""
    assigned: Assignment
    """Its target so far, from which as little as possible should change. What it may no longer have (topics it left,
    that are gone, partitions that another has, too) may be in there. For a static member that replaces
    another: the target of the other."""
    instance_id: str | None = None


Members: TypeAlias = Mapping[str, MemberSpec]
"""By member id."""

Assign: TypeAlias = Callable[[Members, PartitionCounts], dict[str, Assignment]]
"""Return the new target of every member."""

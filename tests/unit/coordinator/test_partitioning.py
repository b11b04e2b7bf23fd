"""Goal: a group is looked for where Kafka keeps it. The expected hashes are Java's own."""

from __future__ import annotations

import pytest

from coordinator.partitioning import partition_of

# String.hashCode() as jshell 17 prints it.
HASHES = {
    "": 0,
    "g": 103,
    "my-group": -1_906_497_762,
    "Aa": 2112,
    "BB": 2112,
    "grüße": 98_768_023,
    "😀": 1_772_899,
    "polygenelubricants": -(2**31),
}


@pytest.mark.parametrize(("name", "java_hash"), HASHES.items())
def test_the_partition_follows_javas_hash(name: str, java_hash: int) -> None:
    absolute = 0 if java_hash == -(2**31) else abs(java_hash)
    for partitions in (1, 7, 50, 2**31 - 1):
        assert partition_of(name, partitions) == absolute % partitions

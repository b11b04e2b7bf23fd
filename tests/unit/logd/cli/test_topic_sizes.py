"""Goal: a topic's size is that of all its partitions, or is not given. Method: partitions that no node speaks of."""

from __future__ import annotations

from logd.cli.sizes import total_size
from protocol.messages.metadata import MetadataResponse

_Partition = MetadataResponse.MetadataResponsePartition


def test_a_size_is_whole_or_not_known() -> None:
    topic = MetadataResponse.MetadataResponseTopic(
        name="t", partitions=[_Partition(partition_index=index) for index in range(2)]
    )
    assert total_size(topic, {("t", 0): 5, ("t", 1): 7, ("u", 0): 100}) == 12
    assert total_size(topic, {("t", 0): 5}) is None
    assert total_size(topic, {}) is None

"""Which logs are being compacted, and how far each is clean: what the manager knows of a cleaner's work.

Not here: the cleaning (storage/cleaning), and when it is due (logd/compaction/cleaner.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from protocol.types import Offset, TopicPartition

if TYPE_CHECKING:
    from storage.directories.checkpoint_plans import CheckpointPlanner
    from storage.directories.directory_plans import CheckpointPlan
    from storage.directories.log_table import LogTable
    from storage.log import Log


class CleanedLogs:
    """The logs of one node."""

    def __init__(self, table: LogTable, planner: CheckpointPlanner) -> None:
        self.under_way: set[TopicPartition] = set()
        """Partitions whose segments are about to be replaced: nothing else may take segments out of them."""
        self._table = table
        self._planner = planner

    def idle(self, logs: Iterable[Log]) -> list[Log]:
        """Those of which nothing is being cleaned."""
        return [log for log in logs if log.topic_partition not in self.under_way]

    def end_of(self, topic_partition: TopicPartition) -> Offset | None:
        """The first dirty offset of an open log after its last compaction; None when there was none."""
        home = self._table.home_of(topic_partition)
        return None if home is None else home.cleaned.get(topic_partition)

    def note(self, topic_partition: TopicPartition, first_dirty_offset: Offset) -> CheckpointPlan:
        """Takes note of how far an open log is clean; returns the plan that makes it durable."""
        home = self._table.home_of(topic_partition)
        assert home is not None, topic_partition
        home.cleaned[topic_partition] = first_dirty_offset
        return self._planner.cleaned(home)

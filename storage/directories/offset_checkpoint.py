"""One offset checkpoint file, written by plans that may overlap in a thread pool.

A plan carries a copy of the offsets, taken on the owner's thread, and writes them in the pool. Plans are numbered in
the order they were made: one that comes late, behind a newer one, has nothing to say and writes nothing. So a partition
that was deleted does not come back, and no offset moves backwards.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from protocol.types import Offset, TopicPartition
from storage.checkpoint import read_offsets, write_offsets

if TYPE_CHECKING:
    from storage.fs import FileSystem


class OffsetCheckpoint:
    """The file at `path`. Raises: StorageFailure from everything that touches it."""

    def __init__(self, fs: FileSystem, path: str) -> None:
        self.path = path
        self.loaded: dict[TopicPartition, Offset] = {}
        """What the file held when it was read."""
        self._fs = fs
        self._lock = threading.Lock()
        self._plans_made = 0
        self._plan_written = 0
        self._plan_outdated = 0
        """Plans up to this number shall write nothing any more."""
        self._content: Mapping[TopicPartition, Offset] | None = None
        """What the file holds; None while that is not known."""

    def load(self) -> None:
        """Reads the file; one that is missing has no entries. Raises: MalformedFile."""
        self._content = self.loaded = read_offsets(self._fs, self.path)

    def outdate_plans(self) -> None:
        """Plans made so far, of which some may be under way, shall write nothing any more. Follow with `may_hold`."""
        self._plan_outdated = self._plans_made

    def may_hold(self, topic_partition: TopicPartition) -> bool:
        """Whether the file may have an entry for the partition."""
        content = self._content
        return content is None or topic_partition in content

    def plan(self, offsets: Mapping[TopicPartition, Offset]) -> OffsetCheckpointPlan:
        """A plan to replace the file's content by `offsets`, which must not change any more."""
        self._plans_made += 1
        return OffsetCheckpointPlan(self, self._plans_made, offsets)

    def plan_without(self, topic_partition: TopicPartition) -> OffsetCheckpointPlan:
        """A plan that leaves the file's content but for one partition; of content that is not known, nothing."""
        content = self._content or {}
        return self.plan({key: offset for key, offset in content.items() if key != topic_partition})

    def write(self, number: int, offsets: Mapping[TopicPartition, Offset]) -> None:
        """Performs plan `number`: blocks until its content, or newer content, is durable. Does nothing for a plan that
        was outdated: whoever did that made a newer one.
        """
        with self._lock:
            # Unknown first, then the look at the number: `outdate_plans` and `may_hold` go the other way round, without
            # the lock, so that either this sees the one or its caller sees the other.
            content, self._content = self._content, None
            if number > self._plan_written and number > self._plan_outdated:
                if offsets != content:
                    write_offsets(self._fs, self.path, offsets)
                    content = offsets
                self._plan_written = number
            self._content = content


class OffsetCheckpointPlan:
    """A snapshot of offsets that is to be written."""

    __slots__ = ("_checkpoint", "_number", "_offsets")

    def __init__(
        self, checkpoint: OffsetCheckpoint, number: int, offsets: Mapping[TopicPartition, Offset]
    ) -> None:
        self._checkpoint = checkpoint
        self._number = number
        self._offsets = offsets

    def run(self) -> None:
        """Blocks. Raises: StorageFailure."""
        self._checkpoint.write(self._number, self._offsets)

"""What follows when a data directory fails while the node runs: the metadata is told, or the node ends.

The node ends, as Kafka's does, when no directory works, and when the one with the metadata log fails: nothing could be
changed any more, not even be taken down that the directory failed. What still works is closed properly.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from protocol.errors import BrokerError
from replication.metadata_commands import LoseDirectory

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from protocol.types import NodeId
    from replication.metadata_ports import MetadataStore
    from storage.directories.data_directory import DataDirectory
    from storage.directories.manager import LogManager

log = logging.getLogger("logd.broker")


class DirectoryFailures:
    """Told of directories as they fail."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        manager: LogManager,
        metadata: MetadataStore,
        *,
        node_id: NodeId,
        end: Callable[[str], None],
    ) -> None:
        """`end` has the node stop, and is told why."""
        self._loop = loop
        self._manager = manager
        self._metadata = metadata
        self._node_id = node_id
        self._end = end
        self._tasks: set[asyncio.Task[None]] = set()

    def failed(self, directory: DataDirectory) -> None:
        """Draw the consequences for the node; partitions are offline already."""
        log.error("data directory offline path=%s reason=%s", directory.path, directory.failure)
        if not any(other.is_online for other in self._manager.directories):
            self._end(f"no data directory works any more: {directory.failure}")
        elif not self._manager.home.is_online:
            self._end(f"the data directory with the metadata log failed: {directory.failure}")
        else:
            task = self._loop.create_task(self._tell(directory))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell(self, directory: DataDirectory) -> None:
        try:
            await self._metadata.submit(LoseDirectory(self._node_id, directory.directory_id))
        except BrokerError as error:  # the metadata log failed as well: the node ends for that
            log.error("failed data directory not taken down in the metadata error=%s", error)

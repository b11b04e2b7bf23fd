"""Producer ids for this node, from blocks that the metadata log hands out.

A block is durable before its first id is used, and a restart takes a new one: no id is given twice, at the price of
gaps. Used from the event loop only.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from replication.metadata_commands import AllocateProducerIds

if TYPE_CHECKING:
    from protocol.types import NodeId, ProducerId
    from replication.metadata_ports import MetadataStore


class ProducerIds:
    """Gives each caller an id that nobody else was given."""

    __slots__ = ("_allocation", "_end", "_next", "_node_id", "_store")

    def __init__(self, store: MetadataStore, node_id: NodeId) -> None:
        self._store = store
        self._node_id = node_id
        self._next: ProducerId = 0
        self._end: ProducerId = 0
        """First id that does not belong to the block; equal to `_next` when it is used up."""
        self._allocation: asyncio.Future[None] | None = None
        """The block under way; all who find the current one used up wait for the same."""

    @property
    def has_next(self) -> bool:
        """Whether `next_now` has an id."""
        return self._next < self._end

    def next_now(self) -> ProducerId | None:
        """Return an id, or None when a block has to be fetched first."""
        if not self.has_next:
            return None
        self._next += 1
        return self._next - 1

    def fetch(self) -> None:
        """Have a block fetched for whoever asks next, unless there are ids. That it failed, who comes next will see."""
        if not self.has_next and self._allocation is None:
            self._allocate_once().add_done_callback(_looked_at)

    async def stock(self) -> None:
        """Return when `next_now` has an id: to who calls it at once. Raises: BrokerError."""
        while not self.has_next:
            # Shielded: the others still wait for the block when one caller goes away.
            await asyncio.shield(self._allocation or self._allocate_once())

    async def next(self) -> ProducerId:
        """Return an id, fetching a block when need be. Raises: BrokerError."""
        await self.stock()
        producer_id = self.next_now()
        assert producer_id is not None
        return producer_id

    def _allocate_once(self) -> asyncio.Future[None]:
        self._allocation = asyncio.ensure_future(self._allocate())
        return self._allocation

    async def _allocate(self) -> None:
        try:
            block = await self._store.submit(AllocateProducerIds(self._node_id))
            self._next, self._end = block.first, block.first + block.size
        finally:
            self._allocation = None


def _looked_at(allocation: asyncio.Future[None]) -> None:
    """Keep asyncio from complaining that nobody looked at a failure: who needs an id next tries again."""
    if not allocation.cancelled():
        allocation.exception()

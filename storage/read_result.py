"""What a log has to offer to a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.types import Offset
    from storage.cold_read import ColdRead
    from storage.region import FileRegion


class ReadResult:
    """What a read found: a region, or nothing (both None), or a plan that must run first."""

    __slots__ = ("cold", "next_offset", "region")

    def __init__(self, region: FileRegion | None, next_offset: Offset, cold: ColdRead | None = None) -> None:
        self.region = region
        """Whole batches; the first may begin below the offset asked for."""
        self.next_offset = next_offset
        """Offset behind the region."""
        self.cold = cold
        """Run it in the pool, then pass it to `Log.finish_read`."""

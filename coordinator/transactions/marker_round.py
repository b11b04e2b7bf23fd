"""What partitions have said so far of a transaction that is decided. Soft: after a move all are asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.types import TopicPartition

_PAUSE_MS_FIRST: Final = 20
_PAUSE_MS_MAX: Final = 1_000
"""Pauses double from the first on: a leader may be away for long."""


class MarkerRound:
    """From the decision until all partitions are told."""

    __slots__ = ("_pause_ms", "fenced", "left")

    def __init__(self, partitions: Iterable[TopicPartition]) -> None:
        self.left: dict[TopicPartition, None] = dict.fromkeys(partitions)
        """Those that have yet to be told; in order."""
        self.fenced = False
        """A later coordinator completes it."""
        self._pause_ms = _PAUSE_MS_FIRST

    def next_pause_ms(self) -> int:
        """Return for how long to wait before the next attempt."""
        pause_ms = self._pause_ms
        self._pause_ms = min(2 * pause_ms, _PAUSE_MS_MAX)
        return pause_ms

"""What an application is made of, and what its handlers may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias

from services.runtime.records import Headers, Record
from services.runtime.store import StateStore


class Context(Protocol):
    """Given to a handler with each record. All that it does through this becomes true in one transaction, or never."""

    partition: int
    now_ms: int  # wall clock

    @property
    def store(self) -> StateStore:
        """The state that belongs to the partition."""

    def emit(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        timestamp_ms: int | None = None,
        headers: Headers = (),
        partition: int | None = None,
    ) -> None:
        """`timestamp_ms` None: now. `partition` None: that of the key. Raises Unprocessable: too large."""

    def after_commit(self, action: Callable[[], None]) -> None:
        """To run once all this is committed; never if it is not. For counters."""


Handler: TypeAlias = Callable[[Record, Context], None]


def _nothing() -> None:
    pass


class Topology(NamedTuple):
    """One application. Its inputs have equal numbers of partitions; equal partitions are handled by one instance."""

    application: str
    handlers: Mapping[str, Handler]  # by topic; raises Unprocessable
    dead_letter: Callable[[Record, str, Context], None]  # sets a record aside, with the reason
    changelog: str | None = None  # topic of the state, if there is any
    on_tick: Callable[[Context], None] | None = None  # about once a second, for each partition with state
    on_start: Callable[[], None] = _nothing  # before the first record, after the predecessor is fenced
    on_turn: Callable[[], None] = _nothing  # before each batch
    on_stop: Callable[[], None] = _nothing

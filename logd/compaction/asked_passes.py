"""Compaction that somebody asked for: who waits for it, and how it came out.

A request gets a ticket. It wants all compacted that is in the log by then: the active segment is rolled for it, and the
pass begins once that is on disk. It is a pass whatever the dirty share is, also over a log with nothing dirty in it, of
which tombstones may go by now. What else keeps records, keeps them: min.compaction.lag.ms, open transactions,
delete.retention.ms. Who asks while another waits shares its pass; who asks while a pass runs gets the next one.

Tickets count within one run of the node: a restart forgets who waited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logd.replicas import LocalPartition
    from protocol.types import Offset, TopicPartition
    from storage.log import Log

NO_TICKET = -1


class AskedOutcome(NamedTuple):
    """How the last of a partition's passes that were asked for came out."""

    ticket: int = NO_TICKET
    error: str | None = None
    bytes_before: int = 0
    bytes_after: int = 0


@dataclass(slots=True)
class _Asked:
    ticket: int
    partition: LocalPartition
    up_to: Offset
    """All below is to be compacted: a segment begins here."""
    bytes_before: int = -1
    """Of what is to be compacted; -1 before the first pass begins."""


class AskedPasses:
    """The requests of one node."""

    def __init__(self) -> None:
        self._tickets = 0
        self._waiting: dict[TopicPartition, _Asked] = {}
        """In the order of their tickets."""
        self._running: dict[TopicPartition, _Asked] = {}
        self._outcomes: dict[TopicPartition, tuple[Log, AskedOutcome]] = {}
        """Each with the log that it is about: another of the same name is another matter."""

    def ask(self, partition: LocalPartition, up_to: Offset) -> int:
        """Returns the ticket."""
        name = partition.topic_partition
        asked = self._waiting.get(name)
        if asked is None or asked.partition is not partition:
            self._tickets += 1
            asked = _Asked(self._tickets, partition, up_to)
            self._waiting.pop(name, None)
            self._waiting[name] = asked
        asked.up_to = up_to
        return asked.ticket

    def is_waiting(self, partition: LocalPartition) -> bool:
        asked = self._waiting.get(partition.topic_partition)
        return asked is not None and asked.partition is partition

    def due(self) -> Iterator[LocalPartition]:
        """Those whose pass may begin, in the order of their tickets; forgets those that are gone, and those whose topic
        is not compacted any more.
        """
        for name, asked in tuple(self._waiting.items()):
            if asked.partition.is_offline or not asked.partition.log.config.compacts:
                del self._waiting[name]
            else:
                log = asked.partition.log
                if log.durable_end >= min(asked.up_to, log.segments[-1].base_offset):
                    yield asked.partition

    def began(self, partition: LocalPartition) -> None:
        """A pass over the partition begins; whoever waits for one has it."""
        asked = self._waiting.pop(partition.topic_partition, None)
        if asked is not None:
            if asked.bytes_before < 0:
                asked.bytes_before = _size(asked)
            self._running[partition.topic_partition] = asked

    def ended(self, partition: LocalPartition, error: str | None, *, is_complete: bool) -> None:
        """The pass over the partition has ended. One that had no room for all is followed by another."""
        asked = self._running.pop(partition.topic_partition, None)
        if asked is None:
            return
        if error is None and not is_complete:
            later = self._waiting.pop(partition.topic_partition, None)
            if later is not None:
                asked.ticket, asked.up_to = later.ticket, later.up_to
            self._waiting[partition.topic_partition] = asked
            return
        outcome = AskedOutcome(asked.ticket, error, asked.bytes_before, _size(asked))
        self._outcomes[partition.topic_partition] = partition.log, outcome

    def outcome(self, partition: LocalPartition) -> AskedOutcome:
        """The last one; one without a ticket before there is any."""
        log, outcome = self._outcomes.get(partition.topic_partition, (None, AskedOutcome()))
        return outcome if log is partition.log else AskedOutcome()

    def forget_others(self, logs: Mapping[TopicPartition, Log]) -> None:
        """Drops outcomes of logs that are gone."""
        for name, (log, _) in tuple(self._outcomes.items()):
            if logs.get(name) is not log:
                del self._outcomes[name]


def _size(asked: _Asked) -> int:
    """Bytes of all segments that are to be compacted."""
    return sum(
        segment.size_bytes for segment in asked.partition.log.segments if segment.base_offset < asked.up_to
    )

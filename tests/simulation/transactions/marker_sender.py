"""Carries markers to partitions: late, out of order, twice, or not at all.

    send ──► to each partition on its own way ──► written and committed ──► answer, perhaps lost ──► MarkersAnswered

A marker without a later epoch (transaction version 0 and 1) cannot be told from that of the producer's next
transaction. A copy of one that is late is delivered while its transaction is not complete, or where a later coordinator
has been already; else not: nothing in the protocol protects from that (KIP-890 is what mends it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.runtime import ShardRuntime
from coordinator.shard import EndTxnMarkers, MarkersAnswered
from protocol.errors import ErrorCode
from protocol.types import TopicPartition

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation

_FIRST_VERSION_WITH_EPOCHS = 2
_TIMEOUT_MS = 4_000


class MarkerSender:
    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.lose_one_in = 0
        """Of so many messages one is lost, on its way there or back; 0 for none."""
        self.repeat_one_in = 0
        """Of so many markers one comes a second time."""
        self.hold_one_in = 0
        """Of so many markers one is held up for long."""
        self.hold_ms = 0

    def send(self, markers: EndTxnMarkers, runtime: ShardRuntime) -> None:
        """An `Outbox`, for the shard in this runtime."""
        self.sim.checker.sent(markers)
        attempt = Attempt(self.sim, markers, runtime)
        for partition in markers.partitions:
            self._carry(attempt, partition)
        self.sim.clock.after(_TIMEOUT_MS, attempt.give_up)

    def _carry(self, attempt: Attempt, partition: TopicPartition) -> None:
        clock = self.sim.clock
        if not self._one_in(self.lose_one_in):
            clock.after(self._delay_ms(), self._deliver, attempt, partition)
        if self._one_in(self.repeat_one_in):
            clock.after(self._delay_ms(), self._deliver, attempt, partition)

    def _delay_ms(self) -> int:
        choose = self.sim.choose
        if self._one_in(self.hold_one_in):
            return choose.randint(0, self.hold_ms)
        return self.sim.network.latency_ms()

    def _deliver(self, attempt: Attempt, partition: TopicPartition) -> None:
        markers = attempt.markers
        is_late = attempt.is_over(partition)
        if (
            is_late
            and markers.transaction_version < _FIRST_VERSION_WITH_EPOCHS
            and not self.sim.checker.may_come_late(markers, partition)
        ):
            self.sim.checker.count("late marker that nothing protects from")
            return
        self.sim.checker.count("late marker" if is_late else "marker")

        def written(code: ErrorCode) -> None:
            if not self._one_in(self.lose_one_in):
                self.sim.clock.after(self._delay_ms(), attempt.take, partition, code)

        self.sim.marker_servers[partition].write_marker(markers, written)

    def _one_in(self, number: int) -> bool:
        return number > 0 and self.sim.choose.randrange(number) == 0


class Attempt:
    """One send: over for a partition when that has answered, or when the time is up."""

    def __init__(self, sim: Simulation, markers: EndTxnMarkers, runtime: ShardRuntime) -> None:
        self.markers = markers
        self._sim = sim
        self._runtime = runtime
        self._codes: dict[TopicPartition, ErrorCode] = {}
        self._told = False

    def is_over(self, partition: TopicPartition) -> bool:
        return self._told or partition in self._codes or self._runtime is not self._sim.transactions.runtime

    def take(self, partition: TopicPartition, code: ErrorCode) -> None:
        if not self._told and partition not in self._codes:
            self._codes[partition] = code
            if len(self._codes) == len(self.markers.partitions):
                self._tell()

    def give_up(self) -> None:
        """What has not answered by now counts as not reached."""
        if not self._told:
            for partition in self.markers.partitions:
                self._codes.setdefault(partition, ErrorCode.NETWORK_EXCEPTION)
            self._tell()

    def _tell(self) -> None:
        self._told = True
        if self._runtime is self._sim.transactions.runtime:
            self._sim.transactions.handle(MarkersAnswered(self.markers, tuple(self._codes.items())))

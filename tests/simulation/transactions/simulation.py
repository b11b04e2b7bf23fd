"""One run: producers, copiers and consumers, two coordinators, partitions, and all that goes wrong, from one seed.

    faults, for a while ──► they stop; the dead stay dead, the living go on ──► within a bound all is settled and right

A seed is a run: see common/seeded_run.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from coordinator.transaction_config import TransactionConfig
from coordinator.transactions.transaction import EPOCH_MAX
from protocol.messages.describe_transactions import DescribeTransactionsRequest
from protocol.types import TimestampMs, TopicPartition
from replication.partition import READ_COMMITTED, READ_UNCOMMITTED
from storage.config import LogConfig
from tests.simulation.common.network import Network
from tests.simulation.common.seeded_run import TRACE_LINES, Action, SeededRun, run_seed
from tests.simulation.transactions.applications import PlainWriter, TransactionalWriter
from tests.simulation.transactions.brokers import Brokers
from tests.simulation.transactions.checks import Checker
from tests.simulation.transactions.copier import INPUT, OUTPUT, Copier
from tests.simulation.transactions.data_server import DataServer
from tests.simulation.transactions.group_server import GroupServer
from tests.simulation.transactions.marker_sender import MarkerSender
from tests.simulation.transactions.outcome import check_outcome, unsettled
from tests.simulation.transactions.reader import Reader
from tests.simulation.transactions.replica import Replica
from tests.simulation.transactions.sender import Sender
from tests.simulation.transactions.transaction_server import (
    OFFSETS_TOPIC,
    Catalog,
    Feature,
    TransactionServer,
)
from tests.simulation.transactions.truth import Transaction

NAME = "transactions"
FAULTS_MS = 30_000
"""How long things go wrong."""
TIMEOUTS_MS = (3_000, 8_000, 15_000)
LIBRARIES = ((True,), (True,), (False,), (True, False))
"""Whether what the processes of a transactional id are built with knows transaction version 2: some are in between."""
SWEEP_MS = 1_000
HELD_MS_MAX = 60_000
HIGH_WATERMARK_STALLS_MS = 3_000

_Server: TypeAlias = DataServer | TransactionServer | GroupServer


@dataclass
class Slot:
    """A place for a producer: the processes that are started for it come one after the other."""

    name: str
    make: Callable[[str], Sender]
    process: Sender | None = None
    started: int = 0
    transactional_id: str | None = None
    is_copier: bool = False

    @property
    def is_empty(self) -> bool:
        return self.process is None or not self.process.alive


def run(seed: int, *, bug: str | None = None, keep: int = TRACE_LINES) -> Simulation:
    """Run one seed. Raises: Violation."""
    return run_seed(Simulation, NAME, seed, bug, keep)


class Simulation(SeededRun):
    def __init__(self, seed: int) -> None:
        self.seed = seed
        super().__init__(seed)
        choose = self.choose
        self.closing = False
        """Writers finish what they are at, and no more."""
        self.hold_end_one_in = 0
        """Of so many EndTxn one is on its way for up to a minute; 0 for none."""
        self.all_transactions: list[Transaction] = []
        inputs, outputs = choose.randint(1, 2), choose.randint(0, 2)
        self.catalog = Catalog({INPUT: inputs, OUTPUT: inputs, "out": outputs, OFFSETS_TOPIC: 1})
        self.feature = Feature(choose.choice((0, 1, 2, 2, 2, 2)))
        self.network = Network(self.clock, choose)
        self.checker = Checker(self, self.clock)
        self.replicas: dict[TopicPartition, Replica] = {}
        self.data: dict[TopicPartition, DataServer] = {}
        self.readers: dict[tuple[TopicPartition, int], Reader] = {}
        for topic, count in ((INPUT, inputs), (OUTPUT, inputs), ("out", outputs)):
            for number in range(count):
                self._make_partition(TopicPartition(topic, number))
        self.writable = [partition for partition in self.data if partition.topic != OUTPUT]
        """What writers write to; the rest is the copiers'."""
        self.transactions = self._make_transactions()
        self.groups = GroupServer(self, self._replica(TopicPartition(OFFSETS_TOPIC, 0)))
        self.groups.start()
        self.marker_servers: dict[TopicPartition, DataServer | GroupServer] = {
            **self.data,
            TopicPartition(OFFSETS_TOPIC, 0): self.groups,
        }
        self.markers = MarkerSender(self)
        self.brokers = Brokers(self)
        self.slots: list[Slot] = []
        self.copiers_are_members = choose.random() < 0.6

    def _replica(self, partition: TopicPartition) -> Replica:
        config = LogConfig(segment_bytes=self.choose.choice((1 << 20, 2_000)))
        replica = self.replicas[partition] = Replica(self.clock, self.choose, partition, config)
        return replica

    def _make_partition(self, partition: TopicPartition) -> None:
        self.data[partition] = DataServer(self, self._replica(partition))
        for isolation in (READ_COMMITTED, READ_UNCOMMITTED):
            self.readers[partition, isolation] = Reader(self, partition, isolation)

    def _make_transactions(self) -> TransactionServer:
        config = TransactionConfig(
            abort_timed_out_interval_ms=SWEEP_MS,
            id_expiration_ms=self.choose.choice((10_000, 1 << 40)),
            remove_expired_interval_ms=3_000,
        )
        replica = Replica(
            self.clock, self.choose, TopicPartition("__transaction_state", 0), LogConfig(segment_bytes=4_000)
        )
        server = TransactionServer(self, replica, config)
        if self.choose.random() < 0.3:
            server.age(("t0", "copier", "copier0"), self.choose.randint(EPOCH_MAX - 4, EPOCH_MAX - 1))
        replica.on_read_anew = lambda: self.checker.coordinator_lost(replica.log.log_end_offset)
        server.start()
        return server

    def new_transaction(self, producer: str, transactional_id: str | None) -> Transaction:
        transaction = Transaction(len(self.all_transactions), producer, transactional_id)
        self.all_transactions.append(transaction)
        return transaction

    def holds_end(self) -> bool:
        return self.hold_end_one_in > 0 and self.choose.randrange(self.hold_end_one_in) == 0

    # -- producers -------------------------------------------------------------------------------------------

    def start(self) -> None:
        choose = self.choose
        for number in range(choose.randint(1, 3)):
            self._add_writers(f"t{number}", choose.choice((1, 1, 2)))
        if choose.random() < 0.7:
            self.slots.append(Slot("plain", lambda name: PlainWriter(self, name)))
        copiers = choose.choice((1, 2, 2))
        for number in range(copiers):
            self._add_copier(number, is_member=self.copiers_are_members)
        for slot in self.slots:
            self.clock.after(choose.randint(0, 1_000), self._start, slot)
        self.clock.after(500, self._read_forever)

    def _add_writers(self, transactional_id: str, instances: int) -> None:
        """One after the other, or two that fence one another."""
        choose = self.choose
        timeout_ms = choose.choice(TIMEOUTS_MS)
        libraries = choose.choice(LIBRARIES)

        def make(name: str) -> Sender:
            return TransactionalWriter(
                self, name, transactional_id, timeout_ms=timeout_ms, knows_level_2=choose.choice(libraries)
            )

        for number in range(instances):
            self.slots.append(Slot(f"{transactional_id}.{number}", make, transactional_id=transactional_id))

    def _add_copier(self, number: int, *, is_member: bool) -> None:
        timeout_ms = self.choose.choice(TIMEOUTS_MS)
        libraries = self.choose.choice(LIBRARIES)
        transactional_id = f"copier{number}" if is_member else "copier"

        def make(name: str) -> Sender:
            return Copier(
                self,
                name,
                transactional_id,
                timeout_ms=timeout_ms,
                knows_level_2=self.choose.choice(libraries),
                is_member=is_member,
            )

        name = f"copier{number}"
        self.slots.append(Slot(name, make, transactional_id=transactional_id, is_copier=True))

    def _start(self, slot: Slot) -> None:
        if slot.is_empty:
            slot.started += 1
            slot.process = slot.make(f"{slot.name}#{slot.started}")
            self.note(f"{slot.process} starts")
            slot.process.start()

    def _read_forever(self) -> None:
        for reader in self.readers.values():
            reader.poll()
        self.clock.after(1_500, self._read_forever)

    # -- faults ----------------------------------------------------------------------------------------------

    def go_wrong(self) -> None:
        choose = self.choose
        network = self.network
        network.delay_ms = choose.choice((5, 50, 300))
        network.break_one_in = choose.choice((0, 200, 40))
        network.hold_one_in = choose.choice((0, 100, 30))
        network.hold_ms = choose.choice((5_000, 20_000, HELD_MS_MAX))
        self.hold_end_one_in = choose.choice((0, 0, 10, 4))
        between = self.brokers.network
        between.delay_ms = network.delay_ms
        between.break_one_in = choose.choice((0, 100, 20))
        between.hold_one_in = choose.choice((0, 20, 5))
        between.hold_ms = choose.choice((3_000, 20_000))
        self.markers.lose_one_in = choose.choice((0, 20, 5))
        self.markers.repeat_one_in = choose.choice((0, 20, 5))
        self.markers.hold_one_in = choose.choice((0, 20, 5))
        self.markers.hold_ms = choose.choice((2_000, 20_000, 60_000))
        self.clock.alarms_late_ms = choose.choice((0, 50))
        for replica in self._all_replicas():
            replica.lag_ms = choose.choice((0, 0, 30, 400))
            replica.refuse_one_in = choose.choice((0, 0, 0, 40, 8))
        self.do_for(FAULTS_MS, self.weighted_actions())

    def weighted_actions(self) -> list[tuple[Action, int]]:
        return [
            (self.crash_producer, 5),
            (self.start_producer, 10),
            (self.pause_producer, 4),
            (self.break_connections, 2),
            (self.mute_copier, 3),
            (self.have_copier_leave, 4),
            (self.move_transactions, 3),
            (self.move_groups, 2),
            (self.move_partition, 4),
            (self.stall_high_watermark, 3),
            (self.refuse_appends, 2),
            (self.stall_brokers, 3),
            (self.change_level, 1),
            (self.look_at_transactions, 2),
        ]

    def _all_replicas(self) -> list[Replica]:
        return [*self.replicas.values(), self.transactions.replica]

    def _servers(self) -> list[_Server]:
        return [*self.data.values(), self.transactions, self.groups]

    def _any(self) -> Sender | None:
        processes = [slot.process for slot in self.slots if slot.process is not None and slot.process.alive]
        return self.choose.choice(processes) if processes else None

    def crash_producer(self) -> None:
        process = self._any()
        if process is not None:
            self.note(f"{process} crashes")
            process.crash()

    def start_producer(self) -> None:
        empty = [slot for slot in self.slots if slot.is_empty]
        if empty:
            self._start(self.choose.choice(empty))

    def pause_producer(self) -> None:
        process = self._any()
        if process is not None:
            duration_ms = self.choose.choice((1_000, 5_000, 12_000, 25_000))
            self.note(f"{process} pauses for {duration_ms} ms")
            process.pause(duration_ms)

    def break_connections(self) -> None:
        process = self._any()
        if process is not None:
            self.note(f"the connections of {process} break")
            process.break_connections()

    def mute_copier(self) -> None:
        """So that it is thrown out of its group, and goes on not knowing it."""
        copier = self._any_copier()
        if copier is not None:
            self.note(f"the heartbeats of {copier} are lost for 12000 ms")
            copier.mute_until_ms = self.clock.now_ms + 12_000

    def have_copier_leave(self) -> None:
        """Its partitions change hands right after its last transaction was decided."""
        copier = self._any_copier()
        if copier is not None:
            self.note(f"{copier} is to leave its group")
            copier.must_leave = True

    def _any_copier(self) -> Copier | None:
        copiers = [slot.process for slot in self.slots if slot.is_copier and not slot.is_empty]
        copier = self.choose.choice(copiers) if copiers and self.copiers_are_members else None
        assert copier is None or isinstance(copier, Copier)
        return copier

    def move_transactions(self) -> None:
        self._stop(self.transactions)

    def move_groups(self) -> None:
        self._stop(self.groups)

    def move_partition(self) -> None:
        self._stop(self.choose.choice(list(self.data.values())))

    def _stop(self, server: _Server) -> None:
        if not server.replica.leads:
            return
        moved = self.choose.random() < 0.6
        away_ms = self.choose.choice((0, 200, 3_000, 8_000))
        self.note(f"{server} {'moves' if moved else 'is killed'}, away for {away_ms} ms")
        server.stop(moved=moved)
        for slot in self.slots:
            if slot.process is not None:
                slot.process.lose_connection(server)
        self.clock.after(away_ms, server.come_back)

    def stall_high_watermark(self) -> None:
        replica = self.choose.choice(self._all_replicas())
        lag_ms, replica.lag_ms = replica.lag_ms, HIGH_WATERMARK_STALLS_MS

        def end() -> None:
            replica.lag_ms = lag_ms if self.faulty else 0

        self.note(f"{replica}: appends are committed slowly")
        self.clock.after(HIGH_WATERMARK_STALLS_MS, end)

    def refuse_appends(self) -> None:
        replica = self.choose.choice(self._all_replicas())
        duration_ms = self.choose.choice((500, 4_000))
        self.note(f"{replica}: appends are refused for {duration_ms} ms")
        replica.refuse_until_ms = self.clock.now_ms + duration_ms

    def stall_brokers(self) -> None:
        """What partitions ask the coordinator, again and again, is on its way for longer than clients wait."""
        self.note("brokers hear late of one another for 8000 ms")
        self.brokers.stalled_until_ms = self.clock.now_ms + 8_000

    def change_level(self) -> None:
        self.feature.level = self.choose.choice((0, 1, 2))
        self.note(f"transaction.version is {self.feature.level}")

    def look_at_transactions(self) -> None:
        """As a tool does."""
        names = sorted({slot.transactional_id for slot in self.slots if slot.transactional_id is not None})
        request = DescribeTransactionsRequest(transactional_ids=[*names, "nobody"])
        self.brokers.ask(self.transactions, request, 0, _ignore, 5_000, None)

    # -- the end ---------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Faults stop. Those that live go on for a while and close; what the dead left open ends in time."""
        self.note("faults stop")
        self.faulty = False
        self.hold_end_one_in = 0
        for network in (self.network, self.brokers.network):
            network.delay_ms, network.break_one_in, network.hold_one_in = 5, 0, 0
        markers = self.markers
        markers.lose_one_in = markers.repeat_one_in = markers.hold_one_in = 0
        self.clock.alarms_late_ms = 0
        for replica in self._all_replicas():
            replica.lag_ms = replica.refuse_one_in = replica.refuse_until_ms = 0
        for server in self._servers():
            server.come_back()
            server.replica.catch_up()
        for slot in self.slots:
            if slot.process is not None and slot.process.alive:
                slot.process.end_pause()
        self._restart_copiers()
        self.clock.run_until(self.clock.now_ms + 3_000)
        self.closing = True
        self._settle()
        check_outcome(self)

    def _settle(self) -> None:
        """Time-outs of transactions and requests, the pause between two looks, and what a late request may begin."""
        bound_ms = max(TIMEOUTS_MS) + SWEEP_MS + HELD_MS_MAX + self.markers.hold_ms + 30_000
        end_ms: TimestampMs = self.clock.now_ms + bound_ms
        while (why := unsettled(self)) is not None:
            assert self.clock.now_ms < end_ms, f"not settled within {bound_ms} ms: {why}"
            self._restart_copiers()
            self.clock.run_until(self.clock.now_ms + 1_000)

    def _restart_copiers(self) -> None:
        """As a supervisor does; of those that would fence one another, one."""
        copiers = [slot for slot in self.slots if slot.is_copier]
        if not self.copiers_are_members:
            for slot in copiers[1:]:
                if slot.process is not None:
                    slot.process.crash()
            copiers = copiers[:1]
        for slot in copiers:
            self._start(slot)


def _ignore(_: object) -> None:
    return None

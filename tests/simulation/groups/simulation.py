"""One run: a coordinator, the clients of a few groups, and all that goes wrong, from one seed.

    faults, for a while ──► they stop, dead clients come back or stay away ──► within a bound all groups are settled

A seed is a run: see common/seeded_run.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from coordinator.group_config import GroupConfig
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.message import Message
from protocol.messages.offset_commit import OffsetCommitRequest
from protocol.messages.offset_delete import OffsetDeleteRequest
from protocol.messages.sync_group import SyncGroupRequest
from protocol.types import TimestampMs
from tests.simulation.common.network import Connection, Network
from tests.simulation.common.seeded_run import TRACE_LINES, Action, SeededRun, run_seed
from tests.simulation.groups.checks import Checker
from tests.simulation.groups.classic_client import ClassicClient
from tests.simulation.groups.clients import Client, Partition, fetch_request
from tests.simulation.groups.consumer_client import ConsumerClient
from tests.simulation.groups.node import Node
from tests.support.shards import START_MS, Topics

NAME = "groups"
FAULTS_MS = 40_000
"""How long things go wrong."""

REBALANCE_TIMEOUTS_MS = (4_000, 8_000)
SESSION_TIMEOUTS_MS = (6_000, 9_000)
HIGH_WATERMARK_STALLS_MS = 3_000


@dataclass
class Slot:
    """A place for a client: the processes that are started for it come one after the other."""

    group: str
    client_id: str
    instance_id: str | None
    make: Callable[[Slot], Client]
    client: Client | None = None


def run(seed: int, *, bug: str | None = None, keep: int = TRACE_LINES) -> Simulation:
    """Run one seed. Raises: Violation."""
    return run_seed(Simulation, NAME, seed, bug, keep)


class Simulation(SeededRun):
    def __init__(self, seed: int) -> None:
        self.seed = seed
        super().__init__(seed)
        choose = self.choose
        self.topics = Topics(a=choose.randint(1, 6), b=choose.randint(1, 4))
        retention_ms = choose.choice((15_000, 30_000, 1 << 40))
        self.config = GroupConfig(
            initial_rebalance_delay_ms=choose.choice((0, 0, 1000)),
            offsets_retention_ms=retention_ms,
            offsets_retention_check_interval_ms=5_000,
            consumer_session_timeout_ms=choose.choice(SESSION_TIMEOUTS_MS),
            consumer_heartbeat_interval_ms=2_000,
            consumer_regex_refresh_interval_ms=5_000,
            consumer_assignment_interval_ms=choose.choice((0, 1000)),
        )
        self.checker = Checker(self.clock, self.topics, retention_ms)
        self.node = Node(self.clock, choose, self.checker, self.config, self.topics)
        self.network = Network(self.clock, choose)
        self.slots: list[Slot] = []
        self.kinds: dict[str, tuple[str, ...]] = {}
        self.changes_at_ms: dict[str, TimestampMs] = {}
        """By group: when it begins to change to another protocol, if it does."""
        self.strays: list[Client] = []
        """Older twins, whose slots have other clients now."""
        self._wanted: list[Slot] = []
        """Those that have clients at the end."""
        self._parked_join_ms = max(REBALANCE_TIMEOUTS_MS) + HIGH_WATERMARK_STALLS_MS + 2_000
        self.checker.answer_within_ms = {
            JoinGroupRequest: self._parked_join_ms,
            SyncGroupRequest: self._parked_join_ms,
        }
        self.checker.revoke_within_ms = max(REBALANCE_TIMEOUTS_MS) + 6_000
        self.checker.answer_within_ms_else = HIGH_WATERMARK_STALLS_MS + 1_000

    @property
    def clients(self) -> Iterator[Client]:
        """All processes that run, paused ones, too."""
        for slot in self.slots:
            if slot.client is not None and slot.client.alive:
                yield slot.client
        for client in self.strays:
            if client.alive:
                yield client

    # -- groups --------------------------------------------------------------------------------------------

    def start(self) -> None:
        choose = self.choose
        for number in range(choose.choice((1, 1, 2))):
            self._make_group(f"g{number}", choose.choice(KINDS))
        for slot in self.slots:
            if choose.random() < 0.7:
                self.clock.after(choose.randint(0, 1000), self._start, slot)
        self.clock.after(500, self._check_forever)

    def _make_group(self, name: str, kinds: tuple[str, ...]) -> None:
        """A group whose clients are of the first kind and, from some time on, those that start of the last one."""
        choose = self.choose
        self.kinds[name] = kinds
        self.changes_at_ms[name] = START_MS + choose.randint(0, FAULTS_MS)
        topics = ("a", "b") if choose.random() < 0.4 else ("a",)
        self.checker.subscribed[name] = frozenset(topics)
        static = choose.choice((0.0, 0.3, 1.0))
        for number in range(choose.randint(1, 4)):
            client_id = f"c{number}"
            instance_id = f"i{number}" if choose.random() < static else None
            self.slots.append(Slot(name, client_id, instance_id, self._maker(kinds, topics)))

    def _maker(self, kinds: tuple[str, ...], topics: tuple[str, ...]) -> Callable[[Slot], Client]:
        choose = self.choose
        assignor = choose.choice((None, "uniform", "range"))
        regex = "|".join(topics) if choose.random() < 0.25 else None

        def make(slot: Slot) -> Client:
            kind = kinds[0] if self.clock.now_ms < self.changes_at_ms[slot.group] else kinds[-1]
            named = (self, slot.group, slot.client_id, slot.instance_id, topics)
            rebalance_timeout_ms = choose.choice(REBALANCE_TIMEOUTS_MS)
            if kind == "consumer":
                return ConsumerClient(
                    *named, rebalance_timeout_ms=rebalance_timeout_ms, assignor=assignor, regex=regex
                )
            return ClassicClient(
                *named,
                cooperative=kind == "cooperative",
                rebalance_timeout_ms=rebalance_timeout_ms,
                session_timeout_ms=choose.choice(SESSION_TIMEOUTS_MS),
                join_version=choose.choice((9, 9, 6, 5)),
            )

        return make

    def _start(self, slot: Slot) -> None:
        if slot.client is None or not slot.client.alive:
            slot.client = slot.make(slot)
            self.note(f"{slot.client} starts" + (f" as {slot.instance_id}" if slot.instance_id else ""))
            slot.client.start()

    # -- faults --------------------------------------------------------------------------------------------

    def go_wrong(self) -> None:
        choose = self.choose
        self.network.delay_ms = choose.choice((5, 50, 300))
        self.network.break_one_in = choose.choice((0, 100, 25))
        self.node.log.lag_ms = choose.choice((0, 30, 400))
        self.node.log.refuse_one_in = choose.choice((0, 0, 40, 8))
        self.clock.alarms_late_ms = choose.choice((0, 50))
        self.do_for(FAULTS_MS, self.weighted_actions())

    def weighted_actions(self) -> list[tuple[Action, int]]:
        return [
            (self.crash_client, 4),
            (self.leave, 4),
            (self.start_client, 8),
            (self.start_twin, 3),
            (self.pause_client, 4),
            (self.stall_client, 3),
            (self.break_connection, 3),
            (self.move_coordinator, 3),
            (self.restart_coordinator, 2),
            (self.stall_high_watermark, 2),
            (self.refuse_appends, 1),
            (self.grow_topic, 2),
            (self.delete_topic, 1),
            (self.create_topic, 1),
            (self.look_at_offsets, 4),
            (self.delete_offsets, 1),
            (self.delete_group, 1),
            (self.reset_offsets, 1),
            (self.remove_member, 1),
        ]

    def _any(self) -> Client | None:
        clients = list(self.clients)
        return self.choose.choice(clients) if clients else None

    def crash_client(self) -> None:
        client = self._any()
        if client is not None:
            self.note(f"{client} crashes")
            client.crash()

    def leave(self) -> None:
        client = self._any()
        if client is not None and not client.paused:
            self.note(f"{client} leaves")
            client.leave()

    def start_client(self) -> None:
        empty = [slot for slot in self.slots if slot.client is None or not slot.client.alive]
        if empty:
            self._start(self.choose.choice(empty))

    def start_twin(self) -> None:
        """A second process of the same instance id, while the first one runs."""
        static = [slot for slot in self.slots if slot.instance_id is not None and slot.client is not None]
        if static:
            slot = self.choose.choice(static)
            assert slot.client is not None
            if slot.client.alive:
                self.strays.append(slot.client)
            slot.client = slot.make(slot)
            self.note(f"{slot.client} starts as {slot.instance_id}, a twin")
            slot.client.start()

    def pause_client(self) -> None:
        client = self._any()
        if client is not None:
            duration_ms = self.choose.choice((1_000, 5_000, 12_000, 20_000))
            self.note(f"{client} pauses for {duration_ms} ms")
            client.pause(duration_ms)

    def stall_client(self) -> None:
        client = self._any()
        if client is not None:
            duration_ms = self.choose.choice((2_000, 10_000, 20_000))
            self.note(f"{client} does not poll for {duration_ms} ms")
            client.stalled_until_ms = self.clock.now_ms + duration_ms

    def break_connection(self) -> None:
        client = self._any()
        if client is not None:
            client.connection.close()

    def move_coordinator(self) -> None:
        self._stop_node(moved=True)

    def restart_coordinator(self) -> None:
        self._stop_node(moved=False)

    def _stop_node(self, *, moved: bool) -> None:
        if self.node.runtime is None:
            return
        away_ms = self.choose.choice((0, 200, 3_000))
        self.note(f"coordinator {'moves' if moved else 'restarts'}, away for {away_ms} ms")
        self.node.stop(moved=moved)
        for client in self.clients:
            client.connection.close()
        self.clock.after(away_ms, self._start_node)

    def _start_node(self) -> None:
        if self.node.runtime is None:
            self.node.start()

    def stall_high_watermark(self) -> None:
        log, lag_ms = self.node.log, self.node.log.lag_ms
        log.lag_ms = HIGH_WATERMARK_STALLS_MS

        def end() -> None:
            log.lag_ms = lag_ms if self.faulty else 0

        self.note("appends are committed slowly")
        self.clock.after(HIGH_WATERMARK_STALLS_MS, end)

    def refuse_appends(self) -> None:
        duration_ms = self.choose.choice((500, 4_000))
        self.note(f"appends are refused for {duration_ms} ms")
        self.node.log.refuse_until_ms = self.clock.now_ms + duration_ms

    # -- topics --------------------------------------------------------------------------------------------

    def grow_topic(self) -> None:
        if self.topics.partitions:
            name = self.choose.choice(sorted(self.topics.partitions))
            self.topics.partitions[name] += self.choose.randint(1, 2)
            self.note(f"{name} has {self.topics.partitions[name]} partitions")
            self.node.topics_changed()

    def delete_topic(self) -> None:
        if self.topics.partitions:
            name = self.choose.choice(sorted(self.topics.partitions))
            topic_id = self.topics.topic_id(name)
            assert topic_id is not None
            del self.topics.partitions[name]
            self.topics.generation[name] = self.topics.generation.get(name, 0) + 1
            self.checker.deleted_ms[name] = self.clock.now_ms
            self.note(f"{name} is deleted")
            self.node.topics_changed((name,), (topic_id,))

    def create_topic(self) -> None:
        for name in ("a", "b"):
            if name not in self.topics.partitions:
                self.topics.partitions[name] = self.choose.randint(1, 4)
                self.note(f"{name} is created with {self.topics.partitions[name]} partitions")
                self.node.topics_changed()

    # -- tools ---------------------------------------------------------------------------------------------

    def _ask(self, request: Message, version: int | None = None, *, rewinds: bool = False) -> None:
        connection = Connection(self.network, self.node, "tool", _call)
        version = type(request).VERSIONS[1] if version is None else version
        connection.send(request, version, _ignore).rewinds = rewinds

    def _any_group(self) -> str:
        return self.choose.choice(self.slots).group

    def look_at_offsets(self) -> None:
        self._fetch_offsets(self._any_group())

    def _fetch_offsets(self, group: str) -> None:
        partitions = [
            Partition(name, b"", number)
            for name, count in self.topics.partitions.items()
            for number in range(count)
        ]
        if partitions:
            self._ask(fetch_request(group, partitions), 9)

    def delete_offsets(self) -> None:
        partition = OffsetDeleteRequest.OffsetDeleteRequestPartition(partition_index=0)
        topic = OffsetDeleteRequest.OffsetDeleteRequestTopic(name="a", partitions=[partition])
        self._ask(OffsetDeleteRequest(group_id=self._any_group(), topics=[topic]))

    def delete_group(self) -> None:
        self._ask(DeleteGroupsRequest(groups_names=[self._any_group()]))

    def reset_offsets(self) -> None:
        """As a tool does, which is no member."""
        partition = OffsetCommitRequest.OffsetCommitRequestPartition(
            partition_index=0, committed_offset=self.choose.randint(0, 50)
        )
        topic = OffsetCommitRequest.OffsetCommitRequestTopic(name="a", partitions=[partition])
        self._ask(
            OffsetCommitRequest(
                group_id=self._any_group(),
                generation_id_or_member_epoch=-1,
                topics=[topic],
            ),
            9,
            rewinds=True,
        )

    def remove_member(self) -> None:
        """As a tool does with static members."""
        slot = self.choose.choice(self.slots)
        if slot.instance_id is not None:
            identity = LeaveGroupRequest.MemberIdentity(member_id="", group_instance_id=slot.instance_id)
            self._ask(LeaveGroupRequest(group_id=slot.group, members=[identity]))

    # -- the end -------------------------------------------------------------------------------------------

    def _check_forever(self) -> None:
        self.checker.in_time()
        self.clock.after(500, self._check_forever)

    def heal(self) -> None:
        """Faults stop; within a bound every group is settled.

        Sessions of the dead run out; a rebalance waits for a member that does; and once more for a pending one.
        """
        self.note("faults stop")
        self.faulty = False
        self.network.delay_ms, self.network.break_one_in = 5, 0
        self.node.log.lag_ms = self.node.log.refuse_one_in = self.node.log.refuse_until_ms = 0
        self.clock.alarms_late_ms = 0
        self.node.log.commit_all()
        self._start_node()
        self.create_topic()
        for client in self.clients:
            client.stalled_until_ms = self.clock.now_ms
            client.end_pause()
            if (
                len(self.kinds[client.group]) > 1
                and client.protocol != _PROTOCOLS[self.kinds[client.group][-1]]
            ):
                client.run(client.leave)  # the change of the protocol is over
        self._wanted = [slot for slot in self.slots if self.choose.random() < 0.7]
        self._settle()
        if self.choose.random() < 0.25:
            self._stay_settled()
        for group in sorted({slot.group for slot in self.slots}):
            self._fetch_offsets(group)
        self.clock.run_until(self.clock.now_ms + 200)
        self.checker.in_time()
        self.node.check_replay()

    def _settle(self) -> None:
        bound_ms = 2 * (max(SESSION_TIMEOUTS_MS) + max(REBALANCE_TIMEOUTS_MS)) + 10_000
        end_ms = self.clock.now_ms + bound_ms
        nudged = False
        self._restart_wanted()
        self.clock.run_until(self.clock.now_ms + 500)
        while (why := self.unsettled()) is not None:
            assert self.clock.now_ms < end_ms, f"not settled within {bound_ms} ms: {why}"
            if self.clock.now_ms > end_ms - bound_ms // 2 and not nudged:
                nudged = True
                self._nudge()
            self._restart_wanted()
            self.clock.run_until(self.clock.now_ms + 1000)

    def _restart_wanted(self) -> None:
        """As a supervisor does: a static member may have to wait until its former self is forgotten."""
        for slot in self._wanted:
            self._start(slot)

    def _stay_settled(self) -> None:
        """Nothing happens for longer than a session, not even commits: nothing changes.

        Those who died before the end of the faults are thrown out first.
        """
        self.clock.run_until(self.clock.now_ms + max(SESSION_TIMEOUTS_MS) + 2_000)
        self._settle()

        def seen() -> dict[str, tuple[int, dict[Partition, int | None]]]:
            return {str(client): (client.generation(), client.positions) for client in self.clients}

        for client in self.clients:
            client.reads = False
        before = {name: (generation, set(owned)) for name, (generation, owned) in seen().items()}
        self.clock.run_until(self.clock.now_ms + max(SESSION_TIMEOUTS_MS) + 2_000)
        after = {name: (generation, set(owned)) for name, (generation, owned) in seen().items()}
        assert before == after, f"settled groups changed without a reason: {before} → {after}"

    def _nudge(self) -> None:
        """Change the subscription of a member of each group that may not know that it has to rebalance.

        That is one whose static leader came back, here as with Kafka.
        """
        nudged = set()
        for client in self.clients:
            if not isinstance(client, ClassicClient) or client.instance_id is None:
                continue
            if client.group not in nudged:
                nudged.add(client.group)
                self.note(f"{client} changes its subscription")
                client.run(client.nudge)

    def unsettled(self) -> str | None:
        """Return what is not yet as it must be."""
        live: dict[str, list[Client]] = {}
        for client in self.clients:
            live.setdefault(client.group, []).append(client)
            if not client.settled:
                return f"{client} is not settled: {vars(client)}"
        for group, clients in live.items():
            owned = [partition for client in clients for partition in client.positions]
            missing = set(clients[0].partitions_of(clients[0].topics)) - set(owned)
            if missing:
                return f"nobody in {group} has {missing}"
            if len(set(owned)) < len(owned):
                return f"partitions of {group} have two owners: {clients}"
            generations = {client.generation() for client in clients}
            picture = self.checker.group(group)
            if len(generations) > 1 or (picture.members and generations != {picture.epoch}):
                return f"{clients} are of generations {generations}, the group is in {picture.epoch}"
            unknown = [client for client in clients if None in client.positions.values()]
            if unknown:
                return f"{unknown} do not know where to begin"
        return None


KINDS = (
    ("eager",),
    ("cooperative",),
    ("consumer",),
    ("consumer",),
    ("eager", "consumer"),
    ("cooperative", "consumer"),
    ("consumer", "cooperative"),
    ("consumer", "eager"),
)

_PROTOCOLS = {"eager": "classic", "cooperative": "classic", "consumer": "consumer"}


def _call(action: Callable[..., None], *arguments: Any) -> None:
    action(*arguments)


def _ignore(_: object) -> None:
    return None

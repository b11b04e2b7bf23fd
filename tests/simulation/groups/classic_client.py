"""A consumer of the classic protocol as Java's behaves, eager or cooperative, dynamic or static.

    unjoined ── JoinGroup ──► joining ── answered ──► syncing ── assignment ──► stable
        ▲                                                                         │
        └───────── asked to, its topics grew, or thrown out ──────────────────────┘

Source: Kafka clients, AbstractCoordinator.java, ConsumerCoordinator.java, CooperativeStickyAssignor.java.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from struct import pack
from typing import Any, NamedTuple

from protocol.codec import decode, encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from protocol.messages.heartbeat import HeartbeatRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.sync_group import SyncGroupRequest
from tests.simulation.groups.clients import RETRY, Client, Partition, code_of

_SUBSCRIPTION_VERSION = 2
_ASSIGNMENT_VERSION = 0
NO_GENERATION = -1


class Phase(Enum):
    UNJOINED = "unjoined"
    JOINING = "joining"
    SYNCING = "syncing"
    STABLE = "stable"


class Claim(NamedTuple):
    """What the leader knows of a member."""

    topics: list[str]
    owned: set[tuple[str, int]]
    generation: int


class ClassicClient(Client):
    protocol = "classic"

    def __init__(self, *arguments: Any, cooperative: bool, join_version: int = 9, **options: int) -> None:
        super().__init__(*arguments)
        self.cooperative = cooperative
        self.join_version = join_version
        self.session_timeout_ms = options["session_timeout_ms"]
        self.rebalance_timeout_ms = options["rebalance_timeout_ms"]
        self.phase = Phase.UNJOINED
        self.generation_id = NO_GENERATION
        self.leads_over: dict[str, tuple[bytes | None, int]] | None = None
        """Of a leader: id and number of partitions of the topics that it assigned. Java's does not look at ids."""
        self.nudges = 0
        """How often its subscription changed."""
        self._claimed: frozenset[Partition] = frozenset()
        """What it told its leader that it owns, which gives that to nobody else before the next generation."""
        self._round = 0
        """Rises with every attempt to join; what belongs to an earlier one is of no interest."""

    @property
    def settled(self) -> bool:
        return self.phase is Phase.STABLE and not self._wants_rebalance()

    def may_commit(self) -> bool:
        return self.phase is Phase.STABLE

    def generation(self) -> int:
        return self.generation_id

    def start(self) -> None:
        super().start()
        self.join()

    def leave(self) -> None:
        """Close; a static member says nothing, and is expected back."""
        if self.instance_id is None and self.member_id:
            self.commit()
            identity = LeaveGroupRequest.MemberIdentity(member_id=self.member_id)
            self.send(LeaveGroupRequest(group_id=self.group, members=[identity]), _ignore)
        self.alive = False
        self.positions.clear()

    def nudge(self) -> None:
        """Have the group rebalance.

        Whoever came back as a static leader does not know for which topics the assignment was made; where they
        changed meanwhile, nobody asks for another one (KIP-814 mends that only for changes from then on).
        """
        self.nudges += 1
        self._rejoin(self._round)

    # -- joining -------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Begin, or begin anew."""
        self._round += 1
        self.commit()
        if not self.cooperative:
            self.lose_all()
        self.phase = Phase.JOINING
        names = ["range", "roundrobin"] if not self.cooperative else ["cooperative-sticky"]
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type="consumer",
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=self._subscription())
                for name in names
            ],
        )
        self.send(request, self._joined_in(self._round), self.join_version)

    def _joined_in(self, number: int) -> Any:
        def joined(response: Any) -> None:
            if number == self._round:
                self._joined(response)

        return joined

    def _subscription(self) -> bytes:
        owned: dict[str, list[int]] = {}
        self._claimed = frozenset(self.positions)
        for partition in self.positions:
            owned.setdefault(partition.topic, []).append(partition.number)
        topic_partition = ConsumerProtocolSubscription.TopicPartition
        value = ConsumerProtocolSubscription(
            topics=list(self.topics),
            owned_partitions=[
                topic_partition(topic=topic, partitions=numbers) for topic, numbers in owned.items()
            ],
            user_data=str(self.nudges).encode(),
            generation_id=self.generation_id,
        )
        return pack(">h", _SUBSCRIPTION_VERSION) + encode_bytes(value, _SUBSCRIPTION_VERSION)

    def _joined(self, response: Any) -> None:
        code = code_of(response)
        if code is ErrorCode.NONE:
            if self.positions and response.generation_id > self.generation_id + 1:
                # Others may have owned them in a generation that it missed. Java's goes on as if nothing had been,
                # which for a cooperative static member means from positions of long ago.
                self.lose_all()
            self.member_id = response.member_id
            self.generation_id = response.generation_id
            self.phase = Phase.SYNCING
            self._sync(response)
            self.later(self.heartbeat_interval_ms, self._heartbeat, self._round)
        elif code is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = response.member_id
            self.join()
        elif code in RETRY:
            self.soon(self.join)
        else:
            assert code is not None
            self._refused(code)

    def _sync(self, joined: Any) -> None:
        assignments = []
        self.leads_over = None
        if joined.leader == self.member_id and not joined.skip_assignment:
            assignments = [
                SyncGroupRequest.SyncGroupRequestAssignment(
                    member_id=member_id, assignment=_assignment(shares)
                )
                for member_id, shares in self._assign(joined.members).items()
            ]
        elif joined.leader == self.member_id:
            self.leads_over = self._counts(self.topics)
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            protocol_type=joined.protocol_type,
            protocol_name=joined.protocol_name,
            assignments=assignments,
        )
        number = self._round

        def synced(response: Any) -> None:
            if number == self._round:
                self._synced(response)

        self.send(request, synced)

    def _synced(self, response: Any) -> None:
        code = code_of(response)
        if code is None or code in RETRY:
            self.soon(self._rejoin, self._round)
            return
        if code is not ErrorCode.NONE:
            self._refused(code)
            return
        self.phase = Phase.STABLE
        shares = assigned(response.assignment)
        mine = {
            partition
            for partition in self.partitions_of(self.topics)
            if (partition.topic, partition.number) in shares
        }
        lost = self._claimed - mine  # what it dropped since it asked, too: nobody has it before it asks again
        self.give_up(lost)
        self.own(mine)
        if lost and self.cooperative:
            self.soon(self._rejoin, self._round)

    def _rejoin(self, number: int) -> None:
        """Join again if nothing else began meanwhile; an application that does not poll takes no part."""
        if number != self._round:
            return
        if self.stalled:
            self.later(self.stalled_until_ms - self.sim.clock.now_ms, self._rejoin, number)
        else:
            self.join()

    def _refused(self, code: ErrorCode) -> None:
        """A join, sync or heartbeat was refused for good."""
        if code is ErrorCode.REBALANCE_IN_PROGRESS:
            self._rejoin(self._round)
        elif code is ErrorCode.UNKNOWN_MEMBER_ID:
            self.lose_all()
            self.member_id = ""
            self.generation_id = NO_GENERATION
            self._rejoin(self._round)
        elif code is ErrorCode.ILLEGAL_GENERATION:
            self.lose_all()
            self.generation_id = NO_GENERATION
            self._rejoin(self._round)
        elif code is ErrorCode.FENCED_INSTANCE_ID:
            self.die(code.name)
        elif code in (ErrorCode.GROUP_MAX_SIZE_REACHED, ErrorCode.INCONSISTENT_GROUP_PROTOCOL):
            self.lose_all()
            self.later(2000, self._rejoin, self._round)
        else:
            raise AssertionError(f"{self}: unexpected {code!r}")

    # -- heartbeats ----------------------------------------------------------------------------------------

    @property
    def heartbeat_interval_ms(self) -> int:
        return self.session_timeout_ms // 3

    def _heartbeat(self, number: int) -> None:
        if number != self._round:
            return
        request = HeartbeatRequest(
            group_id=self.group,
            generation_id=self.generation_id,
            member_id=self.member_id,
            group_instance_id=self.instance_id,
        )

        def beaten(response: Any) -> None:
            if number != self._round:
                return
            code = code_of(response)
            if code is None or code in RETRY:
                self.soon(self._heartbeat, number)
            elif code is ErrorCode.NONE or (code is ErrorCode.REBALANCE_IN_PROGRESS and self.stalled):
                self.later(self.heartbeat_interval_ms, self._heartbeat, number)
            elif self.phase is Phase.STABLE or code is not ErrorCode.REBALANCE_IN_PROGRESS:
                self._refused(code)
            else:
                self.later(self.heartbeat_interval_ms, self._heartbeat, number)

        self.send(request, beaten)

    def poll(self) -> None:
        super().poll()
        if self.phase is Phase.STABLE and self._wants_rebalance():
            self.join()

    def _wants_rebalance(self) -> bool:
        """Whether topics changed that it assigned as the leader."""
        return self.leads_over is not None and self.leads_over != self._counts(self.leads_over)

    def _counts(self, topics: Iterable[str]) -> dict[str, tuple[bytes | None, int]]:
        catalog = self.sim.topics
        return {topic: (catalog.topic_id(topic), catalog.partition_count(topic)) for topic in topics}

    # -- assigning -----------------------------------------------------------------------------------------

    def _assign(self, members: list[Any]) -> dict[str, list[Partition]]:
        claims = {member.member_id: _claim(member.metadata) for member in members}
        topics = {topic for claim in claims.values() for topic in claim.topics}
        self.leads_over = self._counts(topics)
        order = sorted(members, key=lambda member: member.group_instance_id or member.member_id)
        return assign(
            {member.member_id: claims[member.member_id] for member in order},
            self.partitions_of(topics),
            cooperative=self.cooperative,
        )


def assign(
    claims: dict[str, Claim], partitions: list[Partition], *, cooperative: bool
) -> dict[str, list[Partition]]:
    """Share partitions out evenly; who has some keeps them, and what changes hands is first given up."""
    newest = max(claim.generation for claim in claims.values())
    owner: dict[tuple[str, int], str] = {}
    disputed: set[tuple[str, int]] = set()
    for member_id, claim in claims.items():
        for owned in claim.owned if cooperative and claim.generation == newest else ():
            if owned in owner:
                disputed.add(owned)
            owner[owned] = member_id
    shares: dict[str, list[Partition]] = {member_id: [] for member_id in claims}
    room = -(-len(partitions) // len(claims))
    left = []
    for partition in partitions:
        name = (partition.topic, partition.number)
        holder = owner.get(name) if name not in disputed else None
        if holder is not None and partition.topic in claims[holder].topics and len(shares[holder]) < room:
            shares[holder].append(partition)
        else:
            left.append(partition)
    for partition in left:
        takers = [member_id for member_id, claim in claims.items() if partition.topic in claim.topics]
        taker = min(takers, key=lambda member_id: len(shares[member_id]))
        if owner.get((partition.topic, partition.number), taker) == taker:
            shares[taker].append(partition)
    return shares


def _claim(metadata: bytes) -> Claim:
    value = decode(ConsumerProtocolSubscription, _SUBSCRIPTION_VERSION, metadata, 2)
    owned = {(entry.topic, number) for entry in value.owned_partitions for number in entry.partitions}
    return Claim(value.topics, owned, value.generation_id)


def _assignment(partitions: list[Partition]) -> bytes:
    topics: dict[str, list[int]] = {}
    for partition in partitions:
        topics.setdefault(partition.topic, []).append(partition.number)
    value = ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignment.TopicPartition(topic=topic, partitions=numbers)
            for topic, numbers in topics.items()
        ]
    )
    return pack(">h", _ASSIGNMENT_VERSION) + encode_bytes(value, _ASSIGNMENT_VERSION)


def assigned(assignment: bytes) -> set[tuple[str, int]]:
    """Return topics and partition numbers of an assignment as clients write it."""
    if not assignment:
        return set()
    value = decode(ConsumerProtocolAssignment, _ASSIGNMENT_VERSION, assignment, 2)
    return {(entry.topic, number) for entry in value.assigned_partitions for number in entry.partitions}


def _ignore(_: object) -> None:
    return None

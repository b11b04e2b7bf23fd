"""What all model clients have: a process that crashes, pauses and polls, positions, and commits.

A client polls every while; each poll moves its positions on, and now and then it commits them. What it takes over it
begins where the group committed. It believes to own a partition from the assignment until it gave it up or learned
that it was thrown out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from protocol.messages.offset_fetch import OffsetFetchRequest
from tests.simulation.common.network import Connection
from tests.simulation.common.process import Process

if TYPE_CHECKING:
    from tests.simulation.groups.simulation import Simulation


class Partition(NamedTuple):
    """Of one topic of its name; the next of the name is another."""

    topic: str
    topic_id: bytes
    number: int


#: The coordinator is away or busy, or the connection broke: ask again.
RETRY = frozenset(
    {
        None,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.UNKNOWN_SERVER_ERROR,
    }
)

_OLDEST_BY_NAME = 9
"""OffsetCommit and OffsetFetch up to this version name topics."""


def code_of(response: Any) -> ErrorCode | None:
    """Return the error code of a response as a whole; None when there was none because the connection broke."""
    if response is None or isinstance(response, ErrorCode):
        return response
    return ErrorCode(getattr(response, "error_code", ErrorCode.NONE))


class Client(Process):
    """One process; when it ended, the next one is another object."""

    protocol = ""

    def __init__(
        self, sim: Simulation, group: str, client_id: str, instance_id: str | None, topics: tuple[str, ...]
    ) -> None:
        super().__init__(sim.clock, sim.choose)
        self.sim = sim
        self.group = group
        self.client_id = client_id
        self.instance_id = instance_id
        self.topics = topics
        self.member_id = ""
        self.reads = True
        """Whether its polls find anything."""
        self.stalled_until_ms = 0
        """Until then the application does not poll, and so takes no part in a rebalance; heartbeats go on."""
        self.positions: dict[Partition, int | None] = {}
        """What it believes to own, and how far it has read; None until it knows where to begin."""
        self._committing = False
        self._rewound = False
        """It set its positions back, and no commit has told the coordinator so for sure."""
        self._fetching = False
        self._takeovers = 0
        """Rises with each; what was fetched before the last one may be older than what it took over."""
        self.connection = Connection(sim.network, sim.node, client_id, self.run)

    def __repr__(self) -> str:
        return f"{self.group}/{self.client_id}"

    # -- process -----------------------------------------------------------------------------------------

    def start(self) -> None:
        self.later(self.sim.choose.randint(0, 500), self._poll_forever)

    def leave(self) -> None:
        """Close in order."""
        raise NotImplementedError

    def crash(self) -> None:
        super().crash()
        self.positions.clear()
        self.connection.close()

    @property
    def stalled(self) -> bool:
        return self.sim.clock.now_ms < self.stalled_until_ms

    def die(self, why: str) -> None:
        """The application gets an error that it cannot mend, and ends."""
        self.sim.note(f"{self} ends: {why}")
        self.crash()

    def send(
        self,
        request: Message,
        then: Callable[[Any], None],
        version: int | None = None,
        *,
        rewinds: bool = False,
    ) -> None:
        if not self.connection.open:
            self.connection = Connection(self.sim.network, self.sim.node, self.client_id, self.run)
        version = type(request).VERSIONS[1] if version is None else version
        self.connection.send(request, version, then).rewinds = rewinds

    # -- reading -----------------------------------------------------------------------------------------

    def _poll_forever(self) -> None:
        if not self.stalled:
            self.poll()
        self.later(self.sim.choose.randint(600, 1400), self._poll_forever)

    def poll(self) -> None:
        choose = self.sim.choose
        for partition, position in self.positions.items():
            if position is not None:
                self.positions[partition] = position + choose.randint(0, 9)
        if self.reads and choose.random() < 0.5:
            self.commit(rewinds=choose.random() < 0.05)
        self._begin()

    def may_commit(self) -> bool:
        raise NotImplementedError

    def generation(self) -> int:
        """Generation or member epoch for a commit."""
        raise NotImplementedError

    def own(self, partitions: Iterable[Partition]) -> None:
        """Take over partitions, and find out where to begin."""
        new = sorted(partition for partition in partitions if partition not in self.positions)
        if new:
            self.sim.checker.takes_over(self, new, self.sim.clients)
            self.positions.update(dict.fromkeys(new))
            self._takeovers += 1
        self._begin()

    def give_up(self, partitions: Iterable[Partition]) -> None:
        for partition in tuple(partitions):
            self.positions.pop(partition, None)

    def lose_all(self) -> None:
        self.positions.clear()

    def commit(self, *, rewinds: bool = False) -> None:
        """Commit all positions, asynchronously."""
        id_of = self.sim.topics.topic_id
        offsets = {
            partition: at
            for partition, at in self.positions.items()
            if at is not None and id_of(partition.topic) == partition.topic_id
        }
        if not offsets or self._committing or not self.may_commit():
            return
        if rewinds:
            offsets = {partition: at // 2 for partition, at in offsets.items()}
            self.positions.update(offsets)
            self._rewound = True
        topics: dict[str, list[OffsetCommitRequest.OffsetCommitRequestPartition]] = {}
        for partition, at in offsets.items():
            topics.setdefault(partition.topic, []).append(
                OffsetCommitRequest.OffsetCommitRequestPartition(
                    partition_index=partition.number, committed_offset=at, committed_metadata=self.client_id
                )
            )
        self._committing = True
        self.send(
            OffsetCommitRequest(
                group_id=self.group,
                generation_id_or_member_epoch=self.generation(),
                member_id=self.member_id,
                group_instance_id=self.instance_id,
                topics=[
                    OffsetCommitRequest.OffsetCommitRequestTopic(name=name, partitions=partitions)
                    for name, partitions in topics.items()
                ],
            ),
            self._committed,
            _OLDEST_BY_NAME,
            rewinds=self._rewound,
        )

    def _committed(self, response: Any) -> None:
        """Whoever lost his place learns it from the heartbeat, too; what did not go through, the next one carries."""
        self._committing = False
        if isinstance(response, OffsetCommitResponse):
            codes = {partition.error_code for topic in response.topics for partition in topic.partitions}
            self._rewound &= codes != {ErrorCode.NONE}

    def _begin(self) -> None:
        """Ask where to begin, where that is not known."""
        unknown = [partition for partition, at in self.positions.items() if at is None]
        if not unknown or self._fetching:
            return
        self._fetching = True
        takeover = self._takeovers

        def fetched(response: Any) -> None:
            self._fetching = False
            self._fetched(response if takeover == self._takeovers else None)

        self.send(fetch_request(self.group, unknown), fetched, _OLDEST_BY_NAME)

    def _fetched(self, response: Any) -> None:
        if code_of(response) is not ErrorCode.NONE or response.groups[0].error_code != ErrorCode.NONE:
            self.soon(self._begin)
            return
        found = {
            (topic.name, partition.partition_index): max(partition.committed_offset, 0)
            for topic in response.groups[0].topics
            for partition in topic.partitions
        }
        for partition, at in self.positions.items():
            if at is None:
                self.positions[partition] = found.get((partition.topic, partition.number))
        self._begin()

    # -- what it sees of the cluster -----------------------------------------------------------------------

    def partitions_of(self, topics: Iterable[str]) -> list[Partition]:
        """Return all partitions of the topics, those that exist."""
        catalog = self.sim.topics
        return [
            Partition(topic, catalog.topic_id(topic) or b"", number)
            for topic in sorted(topics)
            for number in range(catalog.partition_count(topic))
        ]

    @property
    def settled(self) -> bool:
        """Whether it believes to be a member with nothing left to do."""
        raise NotImplementedError


def fetch_request(group: str, partitions: Iterable[Partition]) -> OffsetFetchRequest:
    topics: dict[str, list[int]] = {}
    for partition in partitions:
        topics.setdefault(partition.topic, []).append(partition.number)
    return OffsetFetchRequest(
        groups=[
            OffsetFetchRequest.OffsetFetchRequestGroup(
                group_id=group,
                topics=[
                    OffsetFetchRequest.OffsetFetchRequestTopics(name=name, partition_indexes=numbers)
                    for name, numbers in topics.items()
                ],
            )
        ]
    )

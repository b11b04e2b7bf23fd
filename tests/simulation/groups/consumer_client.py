"""A consumer of the protocol of KIP-848 as Java's behaves: one heartbeat, which joins, reports and leaves.

Source: Kafka clients, ConsumerHeartbeatRequestManager.java, AbstractMembershipManager.java.
"""

from __future__ import annotations

from typing import Any

from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from tests.simulation.groups.clients import RETRY, Client, Partition, code_of

_JOIN = 0
_LEAVE = -1
_LEAVE_FOR_A_WHILE = -2


class ConsumerClient(Client):
    protocol = "consumer"

    def __init__(
        self,
        *arguments: Any,
        rebalance_timeout_ms: int,
        assignor: str | None = None,
        regex: str | None = None,
    ) -> None:
        super().__init__(*arguments)
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.assignor = assignor
        self.regex = regex
        self.member_id = f"{self.client_id}-{self.sim.choose.randbytes(4).hex()}"
        self.epoch = _JOIN
        self.interval_ms = 3000
        self._target: set[tuple[bytes, int]] | None = None
        """What it was last told to own, until it does."""
        self._revoking = False
        self._reported: set[Partition] | None = None
        """What the coordinator knows that it owns; None to tell it all again."""
        self._in_flight = False
        self._beat = 0
        """Rises with every heartbeat; the timer of an earlier one is of no interest."""

    @property
    def settled(self) -> bool:
        return self.epoch > 0 and self._target is None and self._reported == set(self.positions)

    def may_commit(self) -> bool:
        return self.epoch > 0

    def generation(self) -> int:
        return self.epoch

    def start(self) -> None:
        super().start()
        self._heartbeat()

    def leave(self) -> None:
        """Close; a static member keeps its place for a session."""
        if self.epoch > 0:
            self.commit()
            self.lose_all()
            epoch = _LEAVE if self.instance_id is None else _LEAVE_FOR_A_WHILE
            request = ConsumerGroupHeartbeatRequest(
                group_id=self.group,
                member_id=self.member_id,
                member_epoch=epoch,
                instance_id=self.instance_id,
            )
            self.send(request, _ignore)
        self.alive = False
        self.positions.clear()

    # -- heartbeats ----------------------------------------------------------------------------------------

    def _beat_after(self, delay_ms: int) -> None:
        self._beat += 1
        self.later(delay_ms, self._beat_if, self._beat)

    def _beat_if(self, number: int) -> None:
        if number == self._beat:
            self._heartbeat()

    def _heartbeat(self) -> None:
        if self._in_flight:
            return
        owned = set(self.positions)
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self.member_id,
            member_epoch=self.epoch,
            instance_id=self.instance_id,
        )
        full = self.epoch == _JOIN or self._reported is None
        if full:
            request.rebalance_timeout_ms = self.rebalance_timeout_ms
            if self.regex is None:
                request.subscribed_topic_names = list(self.topics)
            else:
                request.subscribed_topic_regex = self.regex
            request.server_assignor = self.assignor
        if full or owned != self._reported:
            request.topic_partitions = _grouped(owned)
        self._in_flight = True
        sent_epoch = self.epoch

        def beaten(response: Any) -> None:
            self._in_flight = False
            self._beaten(response, sent_epoch, owned)

        self.send(request, beaten)

    def _beaten(self, response: Any, sent_epoch: int, owned: set[Partition]) -> None:
        code = code_of(response)
        if code is ErrorCode.NONE:
            assert response.member_id == self.member_id, f"{self} is told to be {response.member_id}"
            self.epoch = response.member_epoch
            self.interval_ms = response.heartbeat_interval_ms
            self._reported = owned
            if response.assignment is not None:
                self._target = {
                    (entry.topic_id, number)
                    for entry in response.assignment.topic_partitions
                    for number in entry.partitions
                }
            self._beat_after(self.interval_ms)
            self._reconcile()
            if not self._revoking and self._reported != set(self.positions):
                self._beat_after(0)
        elif code in RETRY:
            self._reported = None
            self._beat_after(self.sim.choose.randint(50, 250))
        elif code is ErrorCode.GROUP_ID_NOT_FOUND and sent_epoch == _JOIN:
            self.die("the group has members with the classic protocol")
        elif code in (
            ErrorCode.UNKNOWN_MEMBER_ID,
            ErrorCode.FENCED_MEMBER_EPOCH,
            ErrorCode.GROUP_ID_NOT_FOUND,
        ):
            self._fenced()
        elif code is ErrorCode.GROUP_MAX_SIZE_REACHED:
            self._beat_after(2000)
        elif code in (ErrorCode.UNRELEASED_INSTANCE_ID, ErrorCode.FENCED_INSTANCE_ID):
            self.die(code.name)
        else:
            raise AssertionError(f"{self}: unexpected {code!r}: {response}")

    def _fenced(self) -> None:
        """Thrown out: drop everything and join anew."""
        self.lose_all()
        self.epoch = _JOIN
        self._target = None
        self._revoking = False
        self._reported = None
        self._beat_after(self.sim.choose.randint(0, 100))

    # -- reconciliation --------------------------------------------------------------------------------------

    def poll(self) -> None:
        super().poll()
        self._reconcile()

    def _reconcile(self) -> None:
        """Come nearer to what it was told to own: first give up, then take over, then say so."""
        if self._target is None or self._revoking or self.stalled:
            return
        known = {(p.topic_id, p.number): p for p in self.partitions_of(self.sim.topics.topic_names())}
        mine = {known[name] for name in self._target if name in known}
        lost = [partition for partition in self.positions if partition not in mine]
        if lost:
            self.commit()
            self._revoking = True
            self.later(self.sim.choose.randint(0, 600), self._revoked, self.epoch, lost)
            return
        self.own(mine)
        if len(mine) == len(self._target):
            self._target = None
        if self._reported != set(self.positions):
            self._heartbeat()

    def _revoked(self, epoch: int, lost: list[Partition]) -> None:
        if not self._revoking or epoch != self.epoch:
            self._revoking = False
            return
        self._revoking = False
        self.give_up(lost)
        self._reconcile()  # and only then tell, as Java's does: what it is about to take over it would not report
        if self._reported != set(self.positions):
            self._heartbeat()


def _grouped(partitions: set[Partition]) -> list[ConsumerGroupHeartbeatRequest.TopicPartitions]:
    numbers: dict[bytes, list[int]] = {}
    for partition in sorted(partitions):
        numbers.setdefault(partition.topic_id, []).append(partition.number)
    return [
        ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=topic_id, partitions=those)
        for topic_id, those in numbers.items()
    ]


def _ignore(_: object) -> None:
    return None

"""Consumes, copies and commits what it has read, in one transaction: each record exactly once.

Several share the input, as members of a group of consumers (KIP-848), each with a transactional id of its own
(KIP-447): who lost a partition is fenced by its member epoch. Or they have one id among them and no group: who came
later fences the one before. Either way, who takes a partition over waits until no open transaction may still move its
offset.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from protocol.errors import ErrorCode
from protocol.fetched import readable_batches
from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from protocol.types import Offset, TopicPartition
from replication.partition import READ_COMMITTED
from tests.simulation.transactions.records import read_values
from tests.simulation.transactions.transactional_producer import (
    GroupMember,
    MustAbort,
    TransactionalProducer,
    Wait,
)

if TYPE_CHECKING:
    pass

GROUP = "copiers"
INPUT = "in"
OUTPUT = "copy"
_RECORDS_MAX = 6
_RECORDS_MAX_IN_PEACE = 60
_PAUSES_MS = (0, 20, 200, 3_000)
"""After each batch."""
_PAUSES_MS_IN_PEACE = (0, 20, 200)
"""All pauses of a transaction together stay well below the shortest time-out. An application that takes longer than it
asked for is fenced again and again, by Kafka as well, and need not get anywhere."""
_RECORD_BYTES = 150
"""At most, with what goes with it."""
_JOIN = 0
_LEAVE = -1
_OFFSET_FETCH_VERSION = 9


class Copier(TransactionalProducer):
    def __init__(self, *arguments: Any, is_member: bool, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.is_member = is_member
        self.member = GroupMember(
            GROUP, f"{self.name}-member" if is_member else "", _JOIN if is_member else -1
        )
        self.positions: dict[TopicPartition, Offset] = {}
        self._owned: set[int] = set() if is_member else set(range(self.sim.catalog.partition_count(INPUT)))
        self._target: set[int] | None = None
        """What it was told to own, until it does."""
        self._reported: set[int] | None = None
        self._beating = False
        self.mute_until_ms = 0
        """Until then its heartbeats do not get through; everything else does."""
        self.must_leave = False
        """It is to leave its group right after its next transaction."""
        self._fetched: dict[TopicPartition, Offset] | None = None
        self._fetching = False

    def life(self) -> Generator[Wait, None, None]:
        yield from self.initialise()
        if self.is_member:
            self._beat_forever()
        while True:
            self._take_over()
            yield from self._find_positions()
            records = self._read()
            if not records:
                yield self.sim.choose.randint(300, 1_500)
                continue
            try:
                yield from self._copy(records)
            except MustAbort:
                self.sim.checker.count(f"copier must abort: {self.error.name if self.error else None}")
                yield from self.abort()
                self.positions.clear()

    # -- copying -----------------------------------------------------------------------------------------------

    def _copy(
        self, records: dict[TopicPartition, tuple[list[Offset], Offset]]
    ) -> Generator[Wait, None, None]:
        """Copy the records at some offsets of each partition, and go on from where the read ended."""
        transaction = self.begin()
        member = GroupMember(GROUP, self.member.member_id, self.member.epoch)  # as whom it has read
        pauses_ms = _PAUSES_MS if self.sim.faulty else _PAUSES_MS_IN_PEACE
        for partition, (offsets, _) in records.items():
            target = TopicPartition(OUTPUT, partition.partition)
            half = self.sim.choose.randint(0, len(offsets))
            for some in (offsets[:half], offsets[half:]):
                if some:
                    self.write(target, [transaction.next_value(offset) for offset in some])
                    yield self.sim.choose.choice(pauses_ms)
        ends = {partition: end for partition, (_, end) in records.items()}
        yield from self.send_offsets(ends, member)
        yield from self.commit()
        for partition, end in ends.items():
            if partition in self.positions:
                self.positions[partition] = end
        if self.must_leave and not self._beating:
            self.must_leave = False
            self._leave()

    def _read(self) -> dict[TopicPartition, tuple[list[Offset], Offset]]:
        found = {}
        for partition, position in self.positions.items():
            replica = self.sim.data[partition].replica
            if not replica.leads:
                continue
            most = _RECORDS_MAX if self.sim.faulty else _RECORDS_MAX_IN_PEACE
            data, aborted = replica.fetch(position, READ_COMMITTED, most * _RECORD_BYTES)
            fetched = readable_batches(data, position, aborted)
            offsets = [
                offset
                for each in fetched.batches
                for offset, _ in read_values(each.batch)
                if offset >= position
            ]
            end = fetched.next_offset
            if len(offsets) > most:
                end = offsets[most]
                offsets = offsets[:most]
            if offsets:
                found[partition] = (offsets, end)
            else:
                self.positions[partition] = end  # markers, and what was aborted
        return found

    # -- positions ---------------------------------------------------------------------------------------------

    def _find_positions(self) -> Generator[Wait, None, None]:
        missing = [
            number for number in sorted(self._owned) if TopicPartition(INPUT, number) not in self.positions
        ]
        if not missing:
            return
        self._fetched = None
        self._ask_offsets(missing)
        yield lambda: not self._fetching
        if self._fetched is None:
            yield self.sim.choose.randint(50, 250)
            return
        for partition, offset in self._fetched.items():
            if partition.partition in self._owned:
                self.positions[partition] = offset

    def _ask_offsets(self, numbers: list[int]) -> None:
        self._fetching = True
        request = OffsetFetchRequest(
            groups=[
                OffsetFetchRequest.OffsetFetchRequestGroup(
                    group_id=GROUP,
                    member_id=self.member.member_id if self.is_member else None,
                    member_epoch=self.member.epoch if self.is_member else -1,
                    topics=[
                        OffsetFetchRequest.OffsetFetchRequestTopics(name=INPUT, partition_indexes=numbers)
                    ],
                )
            ],
            require_stable=True,
        )
        self.request(self.sim.groups, request, _OFFSET_FETCH_VERSION, self._offsets_fetched, None)

    def _offsets_fetched(self, outcome: Any) -> None:
        self._fetching = False
        if isinstance(outcome, OffsetFetchResponse) and not outcome.groups[0].error_code:
            rows = [row for topic in outcome.groups[0].topics for row in topic.partitions]
            codes = {row.error_code for row in rows}
            assert codes <= {ErrorCode.NONE, ErrorCode.UNSTABLE_OFFSET_COMMIT}, f"{self}: {outcome}"
            self._fetched = {
                TopicPartition(INPUT, row.partition_index): max(row.committed_offset, 0)
                for row in rows
                if not row.error_code
            }
        self.work()

    # -- the group ---------------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Between two transactions: give up and take what it was told to."""
        if self._target is None:
            return
        self._owned, self._target = self._target, None
        for partition in list(self.positions):
            if partition.partition not in self._owned:
                del self.positions[partition]
        self._beat()

    def _leave(self) -> None:
        """Leave the group, to join it again later: others take its partitions over at once."""
        self._lose_all()
        request = ConsumerGroupHeartbeatRequest(
            group_id=GROUP, member_id=self.member.member_id, member_epoch=_LEAVE
        )

        def left(_: Any) -> None:
            self._beating = False

        self._beating = True
        self.request(self.sim.groups, request, 1, left, None)

    def _lose_all(self) -> None:
        self.member.epoch = _JOIN
        self._owned.clear()
        self.positions.clear()
        self._target = None
        self._reported = None

    def _beat_forever(self) -> None:
        self._beat()
        self.later(self.sim.choose.randint(500, 2_000), self._beat_forever)

    def _beat(self) -> None:
        if self._beating or self.sim.clock.now_ms < self.mute_until_ms:
            return
        self._beating = True
        request = ConsumerGroupHeartbeatRequest(
            group_id=GROUP, member_id=self.member.member_id, member_epoch=self.member.epoch
        )
        if self.member.epoch == _JOIN or self._reported is None:
            request.rebalance_timeout_ms = 6_000
            request.subscribed_topic_names = [INPUT]
        owned = set(self._owned)
        if self.member.epoch == _JOIN or owned != self._reported:
            topic_id = self.sim.catalog.topic_id(INPUT)
            assert topic_id is not None
            request.topic_partitions = []
            if owned:
                request.topic_partitions.append(
                    ConsumerGroupHeartbeatRequest.TopicPartitions(topic_id=topic_id, partitions=sorted(owned))
                )

        def beaten(outcome: Any) -> None:
            self._beating = False
            self._beaten(outcome, owned)

        self.request(self.sim.groups, request, 1, beaten, None)

    def _beaten(self, outcome: Any, owned: set[int]) -> None:
        if outcome is None or isinstance(outcome, ErrorCode):
            self._reported = None
            return
        code = ErrorCode(outcome.error_code)
        if code is ErrorCode.NONE:
            self.member.epoch = outcome.member_epoch
            self._reported = owned
            if outcome.assignment is not None:
                self._target = {
                    number for topic in outcome.assignment.topic_partitions for number in topic.partitions
                }
        elif code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH):
            self.sim.checker.count("copier thrown out of the group")
            self._lose_all()
        else:
            assert code.retriable, f"{self}: unexpected {code!r} for a heartbeat"
            self._reported = None

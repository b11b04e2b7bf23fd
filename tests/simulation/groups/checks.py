"""What must hold at every moment. A violation is an AssertionError that says what is wrong.

The checker sees each decision of the coordinator before it is performed, each record as it is written and each answer
as it leaves, and keeps its own picture of what the log says. It shares no code with what it checks.

- Classic: a generation's number is never used for two assignments; what a member does counts only in the generation
  of now; the older of two twins counts for nothing.
- KIP-848: a partition is one member's until that one has given it up, or told that it does not use it; epochs only
  rise; a member is told what the log says.
- Offsets: a commit that is answered with no error is written, any other is not; what is fetched is what was written
  last; an offset goes back only when its client wants that; one is removed for a reason.
- Answers: once each, in time, and when all that the shard had written is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from coordinator.shard import Call, CoordinatorRecord, Effects, Event, TimerFired, TopicsChanged
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from protocol.messages.delete_groups import DeleteGroupsRequest
from protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from protocol.messages.message import Message
from protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from protocol.messages.offset_delete import OffsetDeleteRequest
from protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from protocol.messages.records_group import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMetadataKey,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from protocol.types import Offset
from tests.simulation.common.clock import Clock
from tests.simulation.groups.hard_state import hard_state
from tests.simulation.groups.picture import GroupPicture, Held

if TYPE_CHECKING:
    from coordinator.group_shard import GroupShard
    from tests.simulation.common.network import Exchange
    from tests.simulation.groups.clients import Client, Partition
    from tests.support.shards import Topics

_ON_ITS_WAY_MS = 1_000
"""No request takes longer to arrive."""


class Checker:
    def __init__(self, clock: Clock, topics: Topics, retention_ms: int) -> None:
        self.clock = clock
        self.topics = topics
        self.retention_ms = retention_ms
        self.groups: dict[str, GroupPicture] = {}
        self.deleted_ms: dict[str, int] = {}
        """When a topic of the name was last deleted."""
        self.subscribed: dict[str, frozenset[str]] = {}
        """By group: topics that all its members are subscribed to."""
        self.answer_within_ms: dict[type[Message], int] = {}
        self.answer_within_ms_else = 0
        self.revoke_within_ms = 0
        """How long a member of a consumer group may take to give up what it is told to."""
        self.away = False
        """No shard is there."""
        self.counts: dict[str, int] = {}
        """How often something came about: what never does proves nothing."""
        self._waiting: dict[Exchange, None] = {}
        self._decision: tuple[Event | None, Effects] | None = None

    def group(self, name: str) -> GroupPicture:
        picture = self.groups.get(name)
        if picture is None:
            picture = self.groups[name] = GroupPicture()
        return picture

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- answers -------------------------------------------------------------------------------------------

    def received(self, exchange: Exchange) -> None:
        exchange.received_ms = self.clock.now_ms
        self._waiting[exchange] = None

    def answered(
        self, exchange: Exchange, outcome: Message | ErrorCode, high_watermark: Offset, *, over: bool
    ) -> None:
        assert exchange in self._waiting, f"answered twice or never asked: {exchange.request}"
        del self._waiting[exchange]
        if over:
            assert outcome is ErrorCode.NOT_COORDINATOR, f"{outcome!r} from a shard that is over"
            return
        assert not exchange.unwritten or isinstance(outcome, ErrorCode), (
            f"answered although it could not be written: {outcome}"
        )
        assert exchange.needed <= high_watermark, (
            f"answered before it was committed: needs {exchange.needed}, committed {high_watermark}: {outcome}"
        )
        if isinstance(outcome, SyncGroupResponse) and outcome.error_code == ErrorCode.NONE:
            self._granted(exchange, outcome)
        self.count(f"{type(exchange.request).__name__} {_code(outcome).name}")

    def in_time(self) -> None:
        """Whether nobody waits longer than he may."""
        for exchange in self._waiting:
            bound = self.answer_within_ms.get(type(exchange.request), self.answer_within_ms_else)
            waited = self.clock.now_ms - exchange.received_ms
            assert waited <= bound, f"waits for {waited} ms, at most {bound}: {exchange.request}"
        for group in self.groups.values():
            for member_id, held in group.members.items():
                revoking_ms = self.clock.now_ms - held.revoking_since_ms
                assert not held.revoking or revoking_ms <= self.revoke_within_ms or self.away, (
                    f"{member_id} has been giving up {held.revoking} for {revoking_ms} ms"
                )

    def resigned(self) -> None:
        self.away = True
        assert not self._waiting, f"never answered: {[exchange.request for exchange in self._waiting]}"

    # -- decisions -----------------------------------------------------------------------------------------

    def decided(self, event: Event | None, effects: Effects, end_offset: Offset) -> None:
        """Before it is performed."""
        needed = end_offset + len(effects.records)
        for waiter, _ in (*effects.answers, *effects.refusals):
            waiter.needed = needed  # type: ignore[attr-defined]
            waiter.life = self.group(_group_of(waiter.request)).lives  # type: ignore[attr-defined]
        if isinstance(event, Call):
            outcome = next((response for waiter, response in effects.answers if waiter is event.waiter), None)
            match event.request:
                case OffsetCommitRequest() as request:
                    self._commit(request, outcome, effects, event.waiter)
                case OffsetFetchRequest() as request if isinstance(outcome, OffsetFetchResponse):
                    self._fetch(request, outcome)
                case HeartbeatRequest() as request if isinstance(outcome, HeartbeatResponse):
                    if outcome.error_code == ErrorCode.NONE:
                        self._counts(request, request.generation_id, "heartbeat")
                case SyncGroupRequest() as request if isinstance(outcome, SyncGroupResponse):
                    if outcome.error_code == ErrorCode.NONE:
                        self._counts(request, request.generation_id, "sync")
        self._decision = (event, effects)
        if not effects.records:
            self._disclaims(event, self._reporter(event))
            self._performed()

    def append_refused(self, end_offset: Offset) -> None:
        assert self._decision is not None
        _, effects = self._decision
        for waiter, _ in (*effects.answers, *effects.refusals):
            waiter.needed = end_offset  # type: ignore[attr-defined]
            waiter.unwritten = True  # type: ignore[attr-defined]
        for key, value in effects.records:
            if (
                isinstance(value, GroupMetadataValue)
                and isinstance(key, GroupMetadataKey)
                and not value.members
            ):
                self.group(key.group).unwritten = True
        self._decision = None
        self.count("append refused")

    def appended(self) -> None:
        """The records of the last decision are written."""
        assert self._decision is not None
        event, effects = self._decision
        reporter = self._reporter(event)
        for record in effects.records:
            self._removal_has_a_reason(record, event)
            self._take_in(record)
        self._disclaims(event, reporter)
        for group in {_group_of(record.key) for record in effects.records}:
            self._one_owner(group)
        self._performed()

    def _performed(self) -> None:
        assert self._decision is not None
        _, effects = self._decision
        self._decision = None
        # Who makes a classic group of the group by joining is told its epoch, and finds out that it is to join again.
        deleted = any(
            isinstance(key, ConsumerGroupMetadataKey) and value is None for key, value in effects.records
        )
        made = any(isinstance(value, GroupMetadataValue) and value.members for _, value in effects.records)
        if deleted and made:
            self.count("became classic")
        if {GroupMetadataKey, ConsumerGroupCurrentMemberAssignmentKey} <= {
            type(key) for key, _ in effects.records
        }:
            self.count("changed its protocol")
        for waiter, response in effects.answers:
            request = waiter.request  # type: ignore[attr-defined]
            if (
                isinstance(response, JoinGroupResponse)
                and response.error_code == ErrorCode.NONE
                and not (deleted and made)
            ):
                self._told_generation(request, response)
            elif (
                isinstance(response, ConsumerGroupHeartbeatResponse)
                and response.error_code == ErrorCode.NONE
                and request.member_epoch >= 0
            ):
                self._told_assignment(request, response)

    # -- classic groups ------------------------------------------------------------------------------------

    def _told_generation(self, request: JoinGroupRequest, response: JoinGroupResponse) -> None:
        group = self.group(request.group_id)
        if group.members:  # a consumer group: each member has an epoch of its own
            held = group.members.get(response.member_id)
            assert held is not None and held.epoch == response.generation_id, f"{response} of {held}"
            return
        assert response.generation_id >= group.generation, (
            f"{request.group_id}: generation {response.generation_id} after {group.generation}"
        )
        group.generation = response.generation_id
        instance_id = request.group_instance_id
        if instance_id is not None:
            former = group.twins.get(instance_id)
            if former is not None and former != response.member_id:
                group.fenced.add(former)
                self.count("twin fenced")
            group.twins[instance_id] = response.member_id

    def _counts(
        self, request: HeartbeatRequest | SyncGroupRequest | OffsetCommitRequest, generation: int, what: str
    ) -> None:
        """What was accepted is of the generation of now, and of nobody whose twin came."""
        group = self.group(request.group_id)
        if group.members:
            held = group.members.get(request.member_id)
            assert held is not None and held.epoch == generation, (
                f"{what} of {generation} of {held}: {request}"
            )
            return
        assert request.member_id not in group.fenced, f"{what} of {request.member_id}, whose twin came"
        assert generation == group.generation, (
            f"{request.group_id}: {what} of generation {generation} in {group.generation}"
        )

    def _granted(self, exchange: Exchange, response: SyncGroupResponse) -> None:
        """A classic member was told its share, which is now committed."""
        from tests.simulation.groups.classic_client import assigned  # noqa: PLC0415  # clients import checks

        request = exchange.request
        assert isinstance(request, SyncGroupRequest)
        group = self.group(request.group_id)
        if exchange.life != group.lives:
            return
        granted = group.granted.setdefault(request.generation_id, {})
        member = request.group_instance_id or request.member_id
        for partition in assigned(response.assignment):
            owner = granted.setdefault(partition, member)
            assert owner == member, (
                f"{request.group_id}: {partition} is {owner}'s and {member}'s in generation {request.generation_id}"
            )

    # -- consumer groups -----------------------------------------------------------------------------------

    def _told_assignment(
        self, request: ConsumerGroupHeartbeatRequest, response: ConsumerGroupHeartbeatResponse
    ) -> None:
        group = self.group(request.group_id)
        member = group.members.get(response.member_id or request.member_id)
        assert member is not None, (
            f"{request.group_id}: {request.member_id} is told it is a member, and is not"
        )
        assert response.member_epoch == member.epoch, (
            f"{request.member_id} is told epoch {response.member_epoch}, written is {member.epoch}"
        )
        assert response.member_epoch >= request.member_epoch, (
            f"{request.member_id} is told epoch {response.member_epoch} after {request.member_epoch}"
        )
        if response.assignment is not None:
            told = {
                (entry.topic_id, number)
                for entry in response.assignment.topic_partitions
                for number in entry.partitions
            }
            assert told == member.assigned, (
                f"{request.member_id} is told to own {told}, written is {member.assigned}"
            )

    def _reporter(self, event: Event | None) -> Held | None:
        """Whose heartbeat it is, if it tells what its member uses."""
        request = event.request if isinstance(event, Call) else None
        if not isinstance(request, ConsumerGroupHeartbeatRequest) or request.topic_partitions is None:
            return None
        return self.group(request.group_id).members.get(request.member_id)

    def _disclaims(self, event: Event | None, before: Held | None) -> None:
        """Take down what a member loses with the heartbeat that tells that it does not use it."""
        after = self._reporter(event)
        if before is None or after is None:
            return
        assert isinstance(event, Call) and isinstance(event.request, ConsumerGroupHeartbeatRequest)
        used = _partitions(event.request.topic_partitions or ())
        after.disclaimed = (after.disclaimed & used) | (
            before.assigned - after.assigned - after.revoking - used
        )

    def _one_owner(self, name: str) -> None:
        owners: dict[tuple[bytes, int], str] = {}
        for member_id, held in self.group(name).members.items():
            for partition in held.assigned | held.revoking:
                owner = owners.setdefault(partition, member_id)
                assert owner == member_id, f"{name}: {partition} is {owner}'s and {member_id}'s"

    def takes_over(self, client: Client, partitions: Sequence[Partition], clients: Iterable[Client]) -> None:
        """A client begins to believe that it owns these; nobody else who still counts may believe so, too."""
        for other in clients:
            if other is client or other.group != client.group or not other.alive:
                continue
            both = {
                partition
                for partition in other.positions.keys() & set(partitions)
                if self._still_counts(client, partition) and self._still_counts(other, partition)
            }
            assert not both, f"{both} is {client}'s and {other}'s, and both are members"

    def _still_counts(self, client: Client, partition: Partition) -> bool:
        """Whether what it does with a partition would be accepted; who has not heard yet is fenced by its epoch."""
        if client.protocol == "classic":
            return False  # generations tell; see _granted
        held = self.group(client.group).members.get(client.member_id)
        if held is None or not 0 < client.generation() <= held.epoch:
            return False
        if (partition.topic_id, partition.number) in held.disclaimed:
            return False
        owned = (partition.topic_id, partition.number) in held.assigned | held.revoking
        return owned or client.generation() == held.epoch

    # -- offsets -------------------------------------------------------------------------------------------

    def _commit(
        self, request: OffsetCommitRequest, outcome: Message | None, effects: Effects, exchange: Any
    ) -> None:
        written = {
            (record.key.topic, record.key.partition): record.value
            for record in effects.records
            if isinstance(record.key, OffsetCommitKey)
        }
        accepted = set()
        if isinstance(outcome, OffsetCommitResponse):
            accepted = {
                (topic.name, partition.partition_index)
                for topic in outcome.topics
                for partition in topic.partitions
                if partition.error_code == ErrorCode.NONE
            }
        assert accepted == written.keys(), f"accepted {accepted}, written {set(written)}: {request}"
        if not accepted:
            return
        for topic in request.topics:
            for partition in topic.partitions:
                value = written.get((topic.name, partition.partition_index))
                if value is not None:
                    assert isinstance(value, OffsetCommitValue)
                    assert value.offset == partition.committed_offset
                    self._goes_on(request, (topic.name, partition.partition_index), value, exchange)
        self._may_commit(request, accepted)

    def _goes_on(
        self,
        request: OffsetCommitRequest,
        partition: tuple[str, int],
        value: OffsetCommitValue,
        exchange: Any,
    ) -> None:
        before = self.group(request.group_id).offsets.get(partition)
        deleted_ms = self.deleted_ms.get(partition[0], 0)
        if before is not None and before.commit_timestamp - deleted_ms < _ON_ITS_WAY_MS:
            return  # what is there was meant for another topic of the name
        assert before is None or value.offset >= before.offset or exchange.rewinds or exchange.zombie, (
            f"{request.group_id}: {partition} goes back from {before.offset} to {value.offset}: {request}"
        )

    def _may_commit(self, request: OffsetCommitRequest, partitions: Iterable[tuple[str, int]]) -> None:
        group = self.group(request.group_id)
        epoch = request.generation_id_or_member_epoch
        if epoch < 0:
            assert not group.has_members, f"{request.group_id}: a stranger's commit in a group with members"
        elif group.members or request.member_id in group.members:
            self._member_may_commit(request, group, partitions)
        else:
            self._counts(request, epoch, "commit")
            granted = group.granted.get(epoch, {})
            member = request.group_instance_id or request.member_id
            for partition in partitions:
                owner = granted.get(partition, member)
                assert owner == member, (
                    f"{request.group_id}: {member} commits {partition}, which is {owner}'s"
                )

    def _member_may_commit(
        self, request: OffsetCommitRequest, group: GroupPicture, partitions: Iterable[tuple[str, int]]
    ) -> None:
        held = group.members.get(request.member_id)
        assert held is not None, f"{request.group_id}: commit of {request.member_id}, who is not a member"
        assert request.generation_id_or_member_epoch <= held.epoch
        for topic, number in partitions:
            if self.clock.now_ms - self.deleted_ms.get(topic, 0) < _ON_ITS_WAY_MS:
                continue  # it was meant for another topic of the name
            partition = (self.topics.topic_id(topic) or b"", number)
            if partition in held.disclaimed:
                continue
            owner = next((name for name, other in group.members.items() if partition in other.assigned), None)
            assert owner in (None, request.member_id), (
                f"{request.group_id}: {request.member_id} commits {topic}-{number}, which is {owner}'s"
            )

    def _fetch(self, request: OffsetFetchRequest, response: OffsetFetchResponse) -> None:
        for asked, got in zip(request.groups, response.groups, strict=True):
            if got.error_code != ErrorCode.NONE:
                continue
            offsets = self.group(asked.group_id).offsets
            for topic in got.topics:
                for partition in topic.partitions:
                    if partition.error_code != ErrorCode.NONE:
                        continue
                    value = offsets.get((topic.name, partition.partition_index))
                    expected = -1 if value is None else value.offset
                    assert partition.committed_offset == expected, (
                        f"{asked.group_id}: {topic.name}-{partition.partition_index} is fetched as "
                        f"{partition.committed_offset}, committed is {expected}"
                    )
            self.count("offsets fetched")

    def _removal_has_a_reason(self, record: CoordinatorRecord, event: Event | None) -> None:
        key = record.key
        if record.value is not None or not isinstance(key, OffsetCommitKey):
            return
        value = self.group(key.group).offsets.get((key.topic, key.partition))
        if value is not None and value.commit_timestamp <= self.deleted_ms.get(key.topic, -1):
            return
        match event:
            case Call(request=OffsetDeleteRequest(group_id=group_id)):
                assert group_id == key.group
            case Call(request=DeleteGroupsRequest(groups_names=names)):
                assert key.group in names
            case TopicsChanged(deleted=deleted):
                assert key.topic in deleted, f"{key} removed when {deleted} were deleted"
            case TimerFired():
                self._may_expire(key)
            case _:
                raise AssertionError(f"{key} removed by {event}")

    def _may_expire(self, key: OffsetCommitKey) -> None:
        group = self.group(key.group)
        value = group.offsets.get((key.topic, key.partition))
        if value is None:
            return
        since = value.commit_timestamp
        if group.has_members:
            subscribed = self.subscribed.get(key.group, frozenset())
            assert key.topic not in subscribed, f"{key} expires, and the group reads it"
        elif group.classic is not None and group.classic.protocol_type:
            if group.unwritten:
                return
            since = group.classic.current_state_timestamp
        age = self.clock.now_ms - since
        assert age >= self.retention_ms, f"{key} expires after {age} ms, retention is {self.retention_ms}"
        self.count("offset expired")

    # -- the log -------------------------------------------------------------------------------------------

    def loaded(self, records: Iterable[CoordinatorRecord]) -> None:
        """A new shard begins with this log; what was granted stays so, all else follows from the log."""
        self.away = False
        lives = {name: group.lives for name, group in self.groups.items()}
        granted = {name: group.granted for name, group in self.groups.items()}
        members = {name: group.members for name, group in self.groups.items()}
        self.groups = {}
        for record in records:
            self._take_in(record, fresh=True)
        for name, grants in granted.items():
            group = self.group(name)
            group.lives = lives[name]
            group.granted = {
                generation: grant for generation, grant in grants.items() if generation <= group.generation
            }
            for member_id in group.members.keys() & members[name].keys():
                group.members[member_id].disclaimed = members[name][member_id].disclaimed
        self.count("loaded")

    def _take_in(self, record: CoordinatorRecord, *, fresh: bool = False) -> None:
        key, value = record
        match key:
            case OffsetCommitKey():
                offsets = self.group(key.group).offsets
                if value is None:
                    offsets.pop((key.topic, key.partition), None)
                else:
                    assert isinstance(value, OffsetCommitValue)
                    offsets[key.topic, key.partition] = value
            case GroupMetadataKey():
                self._take_in_classic(self.group(key.group), value)
            case ConsumerGroupMetadataKey():
                group = self.group(key.group_id)
                epoch = 0 if value is None else int(getattr(value, "epoch"))  # noqa: B009  # of ConsumerGroupMetadataValue
                assert value is None or epoch >= group.epoch, f"{key}: epoch {epoch} after {group.epoch}"
                group.epoch = epoch
                if value is None:
                    group.lives += 1
                    group.granted.clear()
            case ConsumerGroupCurrentMemberAssignmentKey():
                self._take_in_member(self.group(key.group_id), key.member_id, value, fresh=fresh)
            case _:
                pass

    def _take_in_classic(self, group: GroupPicture, value: Any) -> None:
        group.classic = value
        group.unwritten = False
        if value is None:
            group.generation = 0
            group.lives += 1
            group.granted.clear()
            group.fenced.clear()
            group.twins.clear()
            return
        assert value.generation >= group.generation, (
            f"generation {value.generation} is written after {group.generation} was told"
        )
        group.generation = value.generation

    def _take_in_member(self, group: GroupPicture, member_id: str, value: Any, *, fresh: bool) -> None:
        if value is None:
            group.members.pop(member_id, None)
            return
        assert isinstance(value, ConsumerGroupCurrentMemberAssignmentValue)
        before = group.members.get(member_id)
        left = value.member_epoch < 0 or (before is not None and before.epoch < 0)
        assert before is None or left or value.member_epoch >= before.epoch, (
            f"{member_id}: epoch {value.member_epoch} after {before.epoch}"
        )
        held = Held(
            value.member_epoch,
            _partitions(value.assigned_partitions),
            _partitions(value.partitions_pending_revocation),
            self.clock.now_ms,
        )
        if before is not None:
            held.disclaimed = before.disclaimed - held.assigned
            if before.revoking == held.revoking:
                held.revoking_since_ms = before.revoking_since_ms
        group.members[member_id] = held

    def same_hard_state(self, served: GroupShard, replayed: GroupShard) -> None:
        expected, got = hard_state(served.state), hard_state(replayed.state)
        for what in expected.keys() | got.keys():
            name = what.removeprefix("group ")
            if (what in expected and expected[what] is None) or self.group(name).unwritten:
                continue
            assert expected.get(what) == got.get(what), (
                f"replay differs in {what}:\n  served   {expected.get(what)}\n  replayed {got.get(what)}"
            )


def _partitions(entries: Iterable[Any]) -> set[tuple[bytes, int]]:
    return {(entry.topic_id, number) for entry in entries for number in entry.partitions}


def _group_of(message: Any) -> str:
    """Return the group of a record's key or of a request."""
    if hasattr(message, "group"):
        return str(message.group)
    if isinstance(message, DeleteGroupsRequest):
        return str(message.groups_names[0])
    return str(message.group_id)


def _code(outcome: Message | ErrorCode) -> ErrorCode:
    """Return what it amounts to; of a commit the first partition's."""
    if isinstance(outcome, ErrorCode):
        return outcome
    if isinstance(outcome, OffsetCommitResponse):
        return ErrorCode(outcome.topics[0].partitions[0].error_code)
    return ErrorCode(getattr(outcome, "error_code", ErrorCode.NONE))

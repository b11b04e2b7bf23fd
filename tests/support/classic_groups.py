"""Members of classic groups for tests: requests in short, and groups in every state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coordinator.classic.group import ClassicGroup
from coordinator.classic.states import ClassicState
from protocol.errors import ErrorCode
from protocol.messages.heartbeat import HeartbeatRequest
from protocol.messages.join_group import JoinGroupRequest
from protocol.messages.leave_group import LeaveGroupRequest
from protocol.messages.sync_group import SyncGroupRequest
from tests.support.groups import GroupWorld
from tests.support.shards import Answer

GROUP = "g"
RANGE = (("range", b"topics"),)
SESSION_MS = 10_000
REBALANCE_MS = 60_000

Protocols = Sequence[tuple[str, bytes]]


class ClassicWorld(GroupWorld):
    """A shard whose one group is spoken to in the classic protocol."""

    @property
    def group(self) -> ClassicGroup:
        return self.shard.state.groups[GROUP]

    @property
    def state(self) -> ClassicState:
        return self.group.state

    def join(
        self,
        member_id: str = "",
        *,
        version: int = 9,
        instance_id: str | None = None,
        protocol_type: str = "consumer",
        protocols: Protocols = RANGE,
        session_ms: int = SESSION_MS,
        rebalance_ms: int = REBALANCE_MS,
        client_id: str = "client",
    ) -> Answer:
        request = JoinGroupRequest(
            group_id=GROUP,
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=rebalance_ms,
            member_id=member_id,
            group_instance_id=instance_id,
            protocol_type=protocol_type,
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=metadata)
                for name, metadata in protocols
            ],
        )
        return self.send(request, version, client_id=client_id)

    def sync(
        self,
        member_id: str,
        generation_id: int,
        assignments: Mapping[str, bytes] | None = None,
        *,
        version: int = 5,
        instance_id: str | None = None,
        protocol_type: str | None = "consumer",
        protocol_name: str | None = "range",
    ) -> Answer:
        request = SyncGroupRequest(
            group_id=GROUP,
            generation_id=generation_id,
            member_id=member_id,
            group_instance_id=instance_id,
            protocol_type=protocol_type,
            protocol_name=protocol_name,
            assignments=[
                SyncGroupRequest.SyncGroupRequestAssignment(member_id=id_, assignment=assignment)
                for id_, assignment in (assignments or {}).items()
            ],
        )
        return self.send(request, version)

    def heartbeat(
        self, member_id: str, generation_id: int, instance_id: str | None = None, *, version: int = 4
    ) -> ErrorCode:
        """Return the error code of a heartbeat that is answered at once."""
        answer = self.send_heartbeat(member_id, generation_id, instance_id, version=version)
        return ErrorCode(answer.response.error_code)

    def send_heartbeat(
        self, member_id: str, generation_id: int, instance_id: str | None = None, *, version: int = 4
    ) -> Answer:
        request = HeartbeatRequest(
            group_id=GROUP, generation_id=generation_id, member_id=member_id, group_instance_id=instance_id
        )
        return self.send(request, version)

    def leave(self, *members: tuple[str, str | None] | str) -> list[ErrorCode]:
        """Have members leave, each given by its id or as (member id, instance id); return the code of each."""
        leavers = [(member, None) if isinstance(member, str) else member for member in members]
        response = self.send_leave(*leavers).response
        assert response.error_code == ErrorCode.NONE
        return [ErrorCode(member.error_code) for member in response.members]

    def send_leave(self, *members: tuple[str, str | None]) -> Answer:
        """Have members leave, each given as (member id, instance id)."""
        leavers = [
            LeaveGroupRequest.MemberIdentity(member_id=member_id, group_instance_id=instance_id)
            for member_id, instance_id in members
        ]
        return self.send(LeaveGroupRequest(group_id=GROUP, members=leavers))

    # -- members that came this far ------------------------------------------------------------------------

    def new_id(self, **options: Any) -> str:
        """Have the coordinator give out a member id (KIP-394)."""
        response = self.join(**options).response
        assert response.error_code == ErrorCode.MEMBER_ID_REQUIRED
        return str(response.member_id)

    def begin_generation(self, count: int = 2, **options: Any) -> list[str]:
        """Bring so many dynamic members together; return their ids, the leader's first. They have not synced."""
        ids = [self.new_id(**options) for _ in range(count)]
        first = self.join(ids[0], **options)
        others = [self.join(member_id, **options) for member_id in ids[1:]]
        if others:  # the first had a generation of its own
            first = self.join(ids[0], **options)
        assert [answer.response.error_code for answer in (first, *others)] == [0] * count
        assert self.state is ClassicState.COMPLETING_REBALANCE
        return ids

    def assign(self, ids: Sequence[str]) -> None:
        """Have all members sync, the first of them being the leader: each gets its own id as assignment."""
        generation_id = self.group.generation_id
        name = self.group.protocol_name
        answers = [self.sync(member_id, generation_id, protocol_name=name) for member_id in ids[1:]]
        shares = {member_id: member_id.encode() for member_id in ids}
        answers.insert(0, self.sync(ids[0], generation_id, shares, protocol_name=name))
        assert [answer.response.assignment for answer in answers] == [member_id.encode() for member_id in ids]
        assert self.state is ClassicState.STABLE

    def stable(self, count: int = 2, **options: Any) -> list[str]:
        ids = self.begin_generation(count, **options)
        self.assign(ids)
        return ids

    def static(self, *instance_ids: str, **options: Any) -> list[str]:
        """Bring static members together in a stable group; return their member ids, the leader's first."""
        answers = [self.join(instance_id=instance_id, **options) for instance_id in instance_ids]
        if len(answers) > 1:
            first = answers[0].response.member_id
            answers[0] = self.join(first, instance_id=instance_ids[0], **options)
        ids = [str(answer.response.member_id) for answer in answers]
        self.assign(ids)
        return ids

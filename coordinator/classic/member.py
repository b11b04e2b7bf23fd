"""One member of a classic group."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from coordinator.shard import Call, TimerKey


class ClassicMember:
    """Who joined, with what, and the requests of it that wait."""

    __slots__ = (
        "assignment",
        "client_host",
        "client_id",
        "instance_id",
        "is_new",
        "join",
        "member_id",
        "protocols",
        "rebalance_timeout_ms",
        "session_timeout_ms",
        "session_timer",
        "sync",
    )

    def __init__(
        self,
        group_id: str,
        member_id: str,
        *,
        instance_id: str | None,
        client_id: str,
        client_host: str,
        rebalance_timeout_ms: int,
        session_timeout_ms: int,
        protocols: dict[str, bytes],
        assignment: bytes = b"",
    ) -> None:
        self.member_id = member_id
        self.instance_id = instance_id
        """Name of a static member (KIP-345), None for a dynamic one."""
        self.client_id = client_id
        self.client_host = client_host
        self.rebalance_timeout_ms = rebalance_timeout_ms
        """How long a rebalance waits for it."""
        self.session_timeout_ms = session_timeout_ms
        self.protocols = protocols
        """Metadata by name of the protocol, the one it likes best first."""
        self.assignment = assignment
        """What the leader gave it; empty while there is none."""
        self.is_new = False
        """Waits in its first JoinGroup: only it knows its id, so that it may be given up while it waits."""
        self.join: Call | None = None
        """Its JoinGroup that waits for the others."""
        self.sync: Call | None = None
        """Its SyncGroup that waits for the leader's."""
        self.session_timer: TimerKey = (SESSION_TIMER, group_id, member_id)

    @property
    def is_static(self) -> bool:
        return self.instance_id is not None

    @property
    def is_waiting(self) -> bool:
        return self.join is not None or self.sync is not None

    def has_protocols(self, protocols: dict[str, bytes]) -> bool:
        """Whether these are its protocols, in the same order."""
        return list(self.protocols.items()) == list(protocols.items())

    def vote(self, candidates: Collection[str]) -> str:
        """Return the candidate that it likes best; it supports at least one."""
        return next(name for name in self.protocols if name in candidates)


SESSION_TIMER = "classic session"
"""Kind of the timer of a member's session: (kind, group id, member id)."""

"""Where the coordinators of groups and of transactional ids are: looked up once for each, and again when one has moved.

A coordinator that is being elected, or still loads what it has, is asked again until the client's patience ends.
Connections are those of a `ClusterClient`.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from logd.clients.cluster_client import RETRY_PAUSE_S, ClusterClient, Unreachable, broker_error
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from logd.clients.client import Client
    from protocol.types import NodeId

T = TypeVar("T")

_VERSION_OF_ONE_KEY = 3  # from 4 on many are looked up at once, in other fields
_PASSING = frozenset(
    (
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.BROKER_NOT_AVAILABLE,
    )
)


class CoordinatorOf(IntEnum):
    """What is coordinated, as FindCoordinator numbers it."""

    GROUPS = 0
    TRANSACTIONS = 1


class Coordinator(NamedTuple):
    """The node that coordinates a group or a transactional id, as another node names it."""

    node_id: NodeId
    host: str
    port: int


class Coordinators:
    """The coordinators of one kind in one cluster. A key is a group's id, or a transactional id."""

    def __init__(
        self, cluster: ClusterClient, timeout_s: float, kind: CoordinatorOf = CoordinatorOf.GROUPS
    ) -> None:
        """`timeout_s`: how long what passes by itself is put up with, for each key."""
        self._cluster = cluster
        self._kind = kind
        self._timeout_s = timeout_s
        self._known: dict[str, Coordinator] = {}

    async def find(self, key: str) -> Coordinator:
        """The coordinator of a key, whether there is anything under it or not. Raises BrokerError; Unreachable."""
        known = self._known.get(key)
        if known is not None:
            return known
        request = FindCoordinatorRequest(key=key, key_type=self._kind)
        answer: FindCoordinatorResponse = await self._cluster.call(request, version=_VERSION_OF_ONE_KEY)
        if answer.error_code != ErrorCode.NONE:
            raise broker_error(answer.error_code, answer.error_message)
        found = self._known[key] = Coordinator(answer.node_id, answer.host, answer.port)
        return found

    async def run(self, key: str, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do `work` on a key's coordinator; again, after a pause, where it has moved or is not ready yet.

        `work` raises BrokerError for an error code of the key.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        while True:
            try:
                coordinator = await self.find(key)
                return await work(await self._cluster.node(coordinator.node_id))
            except BrokerError as error:
                if error.code not in _PASSING or loop.time() >= deadline:
                    raise
            except ConnectionError as error:
                if isinstance(error, Unreachable) or loop.time() >= deadline:
                    raise
                await self._cluster.reconnect()
            self._known.pop(key, None)
            await asyncio.sleep(RETRY_PAUSE_S)

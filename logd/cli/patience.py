"""How long `logd produce` and `logd consume` put up with failures that may pass, and what they do between attempts."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from logd.clients.cluster_client import Unreachable
from protocol.errors import BrokerError

if TYPE_CHECKING:
    from logd.clients.cluster_client import ClusterClient

_PAUSE_S = (0.1, 1.0)  # first and last


class Patience:
    """Ends when failures go on for `timeout_s` without a single success between them."""

    def __init__(self, cluster: ClusterClient, timeout_s: float) -> None:
        self._cluster = cluster
        self._timeout_s = timeout_s
        self._has_succeeded = False
        self._failing_since: float | None = None
        self._unreachable: OSError | None = None
        self._pause_s = _PAUSE_S[0]

    def succeeded(self) -> None:
        self._has_succeeded = True
        self._failing_since = None
        self._unreachable = None
        self._pause_s = _PAUSE_S[0]

    async def failed(self, error: BrokerError | OSError) -> None:
        """Pause before the next attempt, and connect anew where that is needed.

        Raises: `error`, or a plainer one that came after it, when there is no use in another attempt.
        """
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        is_passing = not isinstance(error, BrokerError) or error.code.retriable
        # Nobody was reached even once: rather a wrong address than a broker that restarts.
        is_hopeless = isinstance(error, Unreachable) and not self._has_succeeded
        if not is_passing or is_hopeless or now - self._failing_since >= self._timeout_s:
            raise self._unreachable if self._unreachable is not None and is_passing else error
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _PAUSE_S[1])
        if isinstance(error, OSError):
            try:
                await self._cluster.reconnect()
            except OSError as reason:
                self._unreachable = reason

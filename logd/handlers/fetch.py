"""Fetch: hand out regions of log files, at once or when there is enough to hand out.

Versions 4–18. 4: isolation level. 5: log start offset. 7: sessions (KIP-227). 9: leader epoch checks (KIP-320).
11: rack (KIP-392). 12: flexible, divergence by epoch (KIP-595). 13: topic ids (KIP-516). 15: replica state (KIP-903).

A fetch is answered when `min_bytes` can be read, when any partition has an error to tell, or when `max_wait_ms` is
over. How its partitions are read is fetch_reads.py's; requests that repeat have a short way (fetch_short_way.py).
Source: apache/kafka core/…/server/ReplicaManager.scala (readFromLog), DelayedFetch.scala.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.handlers.fetch_reads import Fetch
from logd.handlers.fetch_short_way import learn

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.fetch import FetchRequest, FetchResponse

__all__ = ["handle", "learn"]


def handle(broker: Broker, request: FetchRequest, context: RequestContext) -> FetchResponse | None:
    """Answer what can be read now; None when the answer comes later."""
    session = broker.fetch_sessions.resolve(request, context.version, broker.now_ms())
    return Fetch(broker, request, context, session).start()

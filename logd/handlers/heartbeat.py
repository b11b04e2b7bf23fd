"""Heartbeat: a member of a classic group is alive.

Versions 0–4. 4: flexible. While the coordinator loads, members are told that all is well: it begins their sessions
when it is done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.handlers.group_requests import ask_coordinator
from protocol.errors import ErrorCode
from protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message


def handle(broker: Broker, request: HeartbeatRequest, context: RequestContext) -> Message | None:
    return ask_coordinator(broker, request, context, _refused)


def _refused(code: ErrorCode) -> HeartbeatResponse:
    if code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        return HeartbeatResponse()
    return HeartbeatResponse(error_code=code)

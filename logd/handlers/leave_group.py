"""LeaveGroup: members leave a classic group, or are removed by an administrator.

Versions 0–5; what each brought is said in coordinator/classic/leave.py. 4: flexible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.handlers.group_requests import ask_coordinator
from protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.errors import ErrorCode
    from protocol.messages.message import Message


def handle(broker: Broker, request: LeaveGroupRequest, context: RequestContext) -> Message | None:
    return ask_coordinator(broker, request, context, _refused)


def _refused(code: ErrorCode) -> LeaveGroupResponse:
    return LeaveGroupResponse(error_code=code)

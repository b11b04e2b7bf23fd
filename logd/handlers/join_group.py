"""JoinGroup: a member joins a classic group, and waits until all have.

Versions 0–9; what each brought is said in coordinator/classic/join.py. 6: flexible. 8: reasons (KIP-800).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.handlers.group_requests import ask_coordinator
from protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.errors import ErrorCode
    from protocol.messages.message import Message


def handle(broker: Broker, request: JoinGroupRequest, context: RequestContext) -> Message | None:
    return ask_coordinator(broker, request, context, _refused)


def _refused(code: ErrorCode) -> JoinGroupResponse:
    return JoinGroupResponse(error_code=code)

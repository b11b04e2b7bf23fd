"""SyncGroup: a member of a classic group asks for its assignment; the leader brings that of all.

Versions 0–5. 4: flexible. 5: protocol type and name must be told (KIP-559).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.handlers.group_requests import ask_coordinator
from protocol.errors import ErrorCode
from protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message

_FIRST_VERSION_WITH_PROTOCOL: Final = 5


def handle(broker: Broker, request: SyncGroupRequest, context: RequestContext) -> Message | None:
    if context.version >= _FIRST_VERSION_WITH_PROTOCOL and (
        request.protocol_type is None or request.protocol_name is None
    ):
        return _refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    return ask_coordinator(broker, request, context, _refused)


def _refused(code: ErrorCode) -> SyncGroupResponse:
    return SyncGroupResponse(error_code=code)

"""ConsumerGroupHeartbeat: a member of a consumer group joins, lives, and leaves (KIP-848).

Versions 0–1, flexible. 1: patterns, and member ids that clients make (KIP-1082); see coordinator/consumer/heartbeat.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from logd.handlers.group_requests import has_consumer_groups
from protocol.errors import ErrorCode
from protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from protocol.messages.message import Message


def handle(broker: Broker, request: ConsumerGroupHeartbeatRequest, context: RequestContext) -> Message | None:
    if not has_consumer_groups(broker):
        return _refused(ErrorCode.UNSUPPORTED_VERSION)
    if not broker.authorise(context, Operation.READ, ResourceType.GROUP, request.group_id):
        return _refused(ErrorCode.GROUP_AUTHORIZATION_FAILED)
    for name in request.subscribed_topic_names or ():
        if not broker.authorise(context, Operation.DESCRIBE, ResourceType.TOPIC, name):
            return _refused(ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    return broker.groups.call(request.group_id, request, context, _refused)


def _refused(code: ErrorCode) -> ConsumerGroupHeartbeatResponse:
    return ConsumerGroupHeartbeatResponse(error_code=code)

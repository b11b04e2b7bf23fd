"""What requests about groups have in common before the coordinator decides about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logd.authorisation import Operation, ResourceType
from protocol.errors import ErrorCode
from replication.features import GROUP_VERSION

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext
    from logd.coordination.waiters import Refused
    from protocol.messages.message import Message


def ask_coordinator(
    broker: Broker, request: Any, context: RequestContext, refused: Refused
) -> Message | None:
    """Put a request with a `group_id` to the coordinator; return the answer, or None when it comes later.

    `refused` makes the answer that tells an error code.
    """
    group_id: str = request.group_id
    if not broker.authorise(context, Operation.READ, ResourceType.GROUP, group_id):
        return refused(ErrorCode.GROUP_AUTHORIZATION_FAILED)
    if not group_id:
        return refused(ErrorCode.INVALID_GROUP_ID)
    return broker.groups.call(group_id, request, context, refused)


def has_consumer_groups(broker: Broker) -> bool:
    """Whether the cluster has the consumer groups of KIP-848: kafka-features may have taken them back."""
    return broker.metadata.image.features.get(GROUP_VERSION, 0) > 0


def may_read_topic(broker: Broker, context: RequestContext, topic: Any, *, by_id: bool) -> bool:
    """Whether the client may read a topic that its request names; one whose id is not known has its own error."""
    name: str = topic.name
    if by_id:
        known = broker.metadata.image.topics_by_id.get(topic.topic_id)
        if known is None:
            return True
        name = known.name
    return broker.authorise(context, Operation.READ, ResourceType.TOPIC, name)

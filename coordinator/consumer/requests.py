"""What a ConsumerGroupHeartbeat has to look like.

Source: KIP-848; Kafka group-coordinator, GroupCoordinatorService.java (throwIfConsumerGroupHeartbeatRequestIsInvalid).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coordinator.consumer.member import JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH
from protocol.errors import BrokerError, ErrorCode

if TYPE_CHECKING:
    from coordinator.group_config import GroupConfig
    from protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest

_FIRST_VERSION_WITH_OWN_ID = 1
"""From here on clients make their member ids themselves (KIP-1082)."""


def check_heartbeat(request: ConsumerGroupHeartbeatRequest, version: int, config: GroupConfig) -> None:
    """Raises: BrokerError INVALID_REQUEST or UNSUPPORTED_ASSIGNOR."""
    _check_names(request, version)
    if request.member_epoch == JOIN_EPOCH:
        _check_join(request)
    elif request.member_epoch == STATIC_LEAVE_EPOCH:
        if request.instance_id is None:
            raise _invalid("InstanceId is missing: only a static member can leave for a while.")
    elif request.member_epoch < STATIC_LEAVE_EPOCH:
        raise _invalid(f"MemberEpoch {request.member_epoch} has no meaning.")
    if request.server_assignor is not None and request.server_assignor not in config.consumer_assignors:
        raise BrokerError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"The assignor {request.server_assignor} is not one of {', '.join(config.consumer_assignors)}.",
        )


def _check_names(request: ConsumerGroupHeartbeatRequest, version: int) -> None:
    needs_id = request.member_epoch > 0 or request.member_epoch == LEAVE_EPOCH
    if (version >= _FIRST_VERSION_WITH_OWN_ID or needs_id) and not request.member_id.strip():
        raise _invalid("MemberId is empty.")
    if not request.group_id.strip():
        raise _invalid("GroupId is empty.")
    if request.instance_id is not None and not request.instance_id.strip():
        raise _invalid("InstanceId is empty.")
    if request.rack_id is not None and not request.rack_id.strip():
        raise _invalid("RackId is empty.")


def _check_join(request: ConsumerGroupHeartbeatRequest) -> None:
    if request.rebalance_timeout_ms == -1:
        raise _invalid("RebalanceTimeoutMs is missing in the request of a member that joins.")
    if request.topic_partitions is None or request.topic_partitions:
        raise _invalid("TopicPartitions has to be an empty list in the request of a member that joins.")
    if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
        raise _invalid("A member that joins needs SubscribedTopicNames or SubscribedTopicRegex.")


def _invalid(reason: str) -> BrokerError:
    return BrokerError(ErrorCode.INVALID_REQUEST, reason)

"""What a client may do: as bit fields that an administrator asks for (KIP-430), and for creating topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation, ResourceType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext

NOT_ASKED: Final = -(2**31)
"""What stands in the field when the client did not ask."""

CLUSTER_NAME: Final = "kafka-cluster"
"""Name of the one resource of type CLUSTER, as access rules know it."""

# The operations that mean something on a resource of the kind (Kafka: AclEntry.supportedOperations).
_ON_CLUSTER: Final = (
    Operation.CREATE,
    Operation.ALTER,
    Operation.DESCRIBE,
    Operation.CLUSTER_ACTION,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
    Operation.IDEMPOTENT_WRITE,
)
_ON_TOPIC: Final = (
    Operation.READ,
    Operation.WRITE,
    Operation.CREATE,
    Operation.DELETE,
    Operation.ALTER,
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)
_ON_GROUP: Final = (
    Operation.READ,
    Operation.DELETE,
    Operation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)


def cluster_operations(broker: Broker, context: RequestContext) -> int:
    """Return the bits of what the client may do with the cluster."""
    return _bits(broker, context, _ON_CLUSTER, ResourceType.CLUSTER, CLUSTER_NAME)


def topic_operations(broker: Broker, context: RequestContext, topic: str) -> int:
    """Return the bits of what the client may do with a topic."""
    return _bits(broker, context, _ON_TOPIC, ResourceType.TOPIC, topic)


def group_operations(broker: Broker, context: RequestContext, group_id: str) -> int:
    """Return the bits of what the client may do with a group."""
    return _bits(broker, context, _ON_GROUP, ResourceType.GROUP, group_id)


def may_on_cluster(broker: Broker, context: RequestContext, operation: Operation) -> bool:
    """Whether the client may do `operation` on the cluster as a whole."""
    return broker.authorise(context, operation, ResourceType.CLUSTER, CLUSTER_NAME)


def may_create_topic(broker: Broker, context: RequestContext, topic: str) -> bool:
    """Whether the client may create `topic`: because it may create any, or this one."""
    return broker.authorise(
        context, Operation.CREATE, ResourceType.CLUSTER, CLUSTER_NAME
    ) or broker.authorise(context, Operation.CREATE, ResourceType.TOPIC, topic)


def _bits(
    broker: Broker,
    context: RequestContext,
    operations: Sequence[Operation],
    resource: ResourceType,
    name: str,
) -> int:
    bits = 0
    for operation in operations:
        if broker.authorise(context, operation, resource, name):
            bits |= 1 << operation
    return bits

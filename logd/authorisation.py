"""Who may do what: the one seam through which every handler asks.

There is no security yet, so `allow_all` stands in; an authoriser with access rules takes its place in
`Broker.authorise` and nothing else changes. Numbers are Kafka's (AclOperation, ResourceType).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from logd.context import RequestContext


class Operation(IntEnum):
    """What a client wants to do with a resource."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class ResourceType(IntEnum):
    """What the operation is on."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Authorise(Protocol):
    """True when the client behind `context` may do `operation` on the named resource."""

    def __call__(
        self, context: RequestContext, operation: Operation, resource: ResourceType, name: str, /
    ) -> bool: ...


def allow_all(
    _context: RequestContext, _operation: Operation, _resource: ResourceType, _name: str, /
) -> bool:
    """The rule of a broker without access control."""
    return True

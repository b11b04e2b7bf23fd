"""What client quotas are of: users, client ids and addresses, as Describe- and AlterClientQuotas name them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from protocol.errors import BrokerError, ErrorCode

ADDRESS: Final = "ip"
ENTITY_TYPES: Final = frozenset(("user", "client-id", ADDRESS))


def check_combination(types: Collection[str]) -> None:
    """Raises: BrokerError INVALID_REQUEST for types of entities that have no quota in common."""
    if ADDRESS in types and len(types) > 1:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "an address cannot be combined with users or client ids")

"""DescribeClientQuotas: there are no quotas, so nothing matches a filter that makes sense.

Versions 0–1. 1: flexible.
Source: image/ClientQuotasImage.java, whose codes these are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from logd.handlers.quota_entities import ENTITY_TYPES, check_combination
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_client_quotas import DescribeClientQuotasRequest, DescribeClientQuotasResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext

_EXACT: Final = 0
_DEFAULT: Final = 1
_ANY: Final = 2
"""How a filter matches an entity: by name, the one without a name, or whichever is named."""


def handle(
    broker: Broker, request: DescribeClientQuotasRequest, context: RequestContext
) -> DescribeClientQuotasResponse:
    """Check the filter, and find nothing."""
    try:
        if not may_on_cluster(broker, context, Operation.DESCRIBE_CONFIGS):
            raise BrokerError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        _check(request.components)
    except BrokerError as refusal:
        return DescribeClientQuotasResponse(error_code=refusal.code, error_message=refusal.text, entries=None)
    return DescribeClientQuotasResponse()


def _check(components: Sequence[DescribeClientQuotasRequest.ComponentData]) -> None:
    """Raises: BrokerError INVALID_REQUEST, or UNSUPPORTED_VERSION for a type of entity that is not known."""
    seen: set[str] = set()
    for component in components:
        if not component.entity_type:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "the filter names no type of entity")
        if component.entity_type in seen:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "the filter names a type of entity twice")
        if component.entity_type not in ENTITY_TYPES:
            raise BrokerError(
                ErrorCode.UNSUPPORTED_VERSION, "the filter names a type of entity that is not known"
            )
        if component.match_type not in (_EXACT, _DEFAULT, _ANY):
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"match type {component.match_type} is not known")
        if (component.match is None) == (component.match_type == _EXACT):
            raise BrokerError(ErrorCode.INVALID_REQUEST, "an exact match takes a name, and no other does")
        seen.add(component.entity_type)
    check_combination(seen)

"""AlterClientQuotas: quotas are not enforced, so none is taken (UNSUPPORTED_VERSION).

Versions 0–1. 1: flexible. Removing a quota, of which there are none, succeeds. What Kafka refuses is refused with its
code.
Source: controller/ClientQuotaControlManager.java. Deviation: host names in place of addresses are not resolved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from logd.handlers.quota_entities import ADDRESS, ENTITY_TYPES, check_combination
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.alter_client_quotas import AlterClientQuotasRequest, AlterClientQuotasResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext

_CLIENT_QUOTAS: Final = frozenset(
    ("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate")
)
_ADDRESS_QUOTAS: Final = frozenset(("connection_creation_rate",))
_FRACTIONAL: Final = frozenset(("request_percentage", "controller_mutation_rate"))

_Key = tuple[tuple[str, str | None], ...]
_Result = AlterClientQuotasResponse.EntryData


def handle(
    broker: Broker, request: AlterClientQuotasRequest, context: RequestContext
) -> AlterClientQuotasResponse:
    """Answer every entity once."""
    allowed = may_on_cluster(broker, context, Operation.ALTER_CONFIGS)
    results: dict[_Key, _Result] = {}
    for entry in request.entries:
        # A type that is named twice counts as the last says.
        entity = {part.entity_type: part.entity_name for part in entry.entity}
        key = tuple(sorted(entity.items(), key=lambda item: item[0]))
        result = _Result(
            error_message=None,
            entity=[
                AlterClientQuotasResponse.EntityData(entity_type=type_, entity_name=name)
                for type_, name in key
            ],
        )
        try:
            if not allowed:
                raise BrokerError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
            if key in results:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "the entity is named twice")
            _check(entity, entry.ops)
        except BrokerError as refusal:
            result.error_code = refusal.code
            result.error_message = refusal.text
        results[key] = result
    return AlterClientQuotasResponse(entries=list(results.values()))


def _check(entity: dict[str, str | None], ops: Sequence[AlterClientQuotasRequest.OpData]) -> None:
    """Raises: BrokerError INVALID_REQUEST for what makes no sense, UNSUPPORTED_VERSION for a quota that does."""
    quotas = _quotas_of(entity)
    keys: set[str] = set()
    for op in ops:
        if op.key in keys:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "a quota is named twice")
        keys.add(op.key)
    wanted = [op for op in ops if not op.remove]
    for op in wanted:
        if op.key not in quotas:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "there is no such quota for this entity")
        if not op.value > 0:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "a quota must be greater than 0")
        if op.key not in _FRACTIONAL and op.value % 1:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "the quota must be a whole number")
    if wanted:
        raise BrokerError(ErrorCode.UNSUPPORTED_VERSION, "quotas are not supported")


def _quotas_of(entity: dict[str, str | None]) -> frozenset[str]:
    """Return the quotas that an entity may have. Raises: BrokerError INVALID_REQUEST."""
    if not entity:
        raise BrokerError(ErrorCode.INVALID_REQUEST, "the entity is empty")
    if not ENTITY_TYPES.issuperset(entity):
        raise BrokerError(ErrorCode.INVALID_REQUEST, "the type of the entity is not known")
    if "" in entity.values():
        raise BrokerError(ErrorCode.INVALID_REQUEST, "the name of the entity is empty")
    check_combination(entity)
    return _ADDRESS_QUOTAS if ADDRESS in entity else _CLIENT_QUOTAS

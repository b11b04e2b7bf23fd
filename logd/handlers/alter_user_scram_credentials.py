"""AlterUserScramCredentials: SASL is not there yet, so no credentials are kept (UNSUPPORTED_VERSION).

Version 0. That is what Kafka says where its metadata cannot hold them. What Kafka refuses anyway is refused with its
code, the deletion of what does not exist among that.
Source: KIP-554. controller/ScramControlManager.java.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.alter_user_scram_credentials import (
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext

_MECHANISMS: Final = (1, 2)
"""SCRAM-SHA-256 and SCRAM-SHA-512."""
_ITERATIONS_MIN: Final = 4096
_ITERATIONS_MAX: Final = 16384


def handle(
    broker: Broker, request: AlterUserScramCredentialsRequest, context: RequestContext
) -> AlterUserScramCredentialsResponse:
    """Answer every user once."""
    codes = {deletion.name: _deletion_code(deletion) for deletion in request.deletions}
    codes |= {upsertion.name: _upsertion_code(upsertion) for upsertion in request.upsertions}
    times = Counter(deletion.name for deletion in request.deletions)
    times.update(upsertion.name for upsertion in request.upsertions)
    for name in codes:
        if times[name] > 1:
            codes[name] = ErrorCode.DUPLICATE_RESOURCE
    if not may_on_cluster(broker, context, Operation.ALTER):
        codes = dict.fromkeys(codes, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
    return AlterUserScramCredentialsResponse(
        results=[
            AlterUserScramCredentialsResponse.AlterUserScramCredentialsResult(
                user=name, error_code=code, error_message=_message(code)
            )
            for name, code in codes.items()
        ]
    )


def _message(code: ErrorCode) -> str:
    return "SCRAM credentials are not supported" if code is ErrorCode.UNSUPPORTED_VERSION else code.text


def _deletion_code(deletion: AlterUserScramCredentialsRequest.ScramCredentialDeletion) -> ErrorCode:
    if not deletion.name:
        return ErrorCode.UNACCEPTABLE_CREDENTIAL
    if deletion.mechanism not in _MECHANISMS:
        return ErrorCode.UNSUPPORTED_SASL_MECHANISM
    return ErrorCode.RESOURCE_NOT_FOUND


def _upsertion_code(upsertion: AlterUserScramCredentialsRequest.ScramCredentialUpsertion) -> ErrorCode:
    if not upsertion.name:
        return ErrorCode.UNACCEPTABLE_CREDENTIAL
    if upsertion.mechanism not in _MECHANISMS:
        return ErrorCode.UNSUPPORTED_SASL_MECHANISM
    if not _ITERATIONS_MIN <= upsertion.iterations <= _ITERATIONS_MAX:
        return ErrorCode.UNACCEPTABLE_CREDENTIAL
    return ErrorCode.UNSUPPORTED_VERSION

"""DescribeUserScramCredentials: there are no SCRAM users, so nobody is found.

Version 0.
Source: KIP-554. image/ScramImage.java, whose codes these are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.describe_user_scram_credentials import (
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


def handle(
    broker: Broker, request: DescribeUserScramCredentialsRequest, context: RequestContext
) -> DescribeUserScramCredentialsResponse:
    """Answer every user once; null, or nobody, asks for all."""
    if not may_on_cluster(broker, context, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
        return DescribeUserScramCredentialsResponse(error_code=code, error_message=code.text)
    asked = Counter(user.name for user in request.users or ())
    return DescribeUserScramCredentialsResponse(
        results=[_result(name, times) for name, times in asked.items()]
    )


def _result(name: str, times: int) -> DescribeUserScramCredentialsResponse.DescribeUserScramCredentialsResult:
    code = ErrorCode.RESOURCE_NOT_FOUND if times == 1 else ErrorCode.DUPLICATE_RESOURCE
    return DescribeUserScramCredentialsResponse.DescribeUserScramCredentialsResult(
        user=name, error_code=code, error_message=code.text
    )

"""DescribeAcls: there is no authoriser, so there are no access rules (SECURITY_DISABLED). Versions 1–3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.describe_acls import DescribeAclsRequest, DescribeAclsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


def handle(broker: Broker, _request: DescribeAclsRequest, context: RequestContext) -> DescribeAclsResponse:
    """Refuse."""
    code = ErrorCode.SECURITY_DISABLED
    if not may_on_cluster(broker, context, Operation.DESCRIBE):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    return DescribeAclsResponse(error_code=code, error_message=code.text)

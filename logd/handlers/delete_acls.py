"""DeleteAcls: there is no authoriser, so SECURITY_DISABLED on each filter. Versions 1–3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation
from logd.handlers.authorized_operations import may_on_cluster
from protocol.errors import ErrorCode
from protocol.messages.delete_acls import DeleteAclsRequest, DeleteAclsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


def handle(broker: Broker, request: DeleteAclsRequest, context: RequestContext) -> DeleteAclsResponse:
    """Refuse."""
    code = ErrorCode.SECURITY_DISABLED
    if not may_on_cluster(broker, context, Operation.ALTER):
        code = ErrorCode.CLUSTER_AUTHORIZATION_FAILED
    result = DeleteAclsResponse.DeleteAclsFilterResult(error_code=code, error_message=code.text)
    return DeleteAclsResponse(filter_results=[result] * len(request.filters))

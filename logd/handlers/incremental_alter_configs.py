"""IncrementalAlterConfigs: set, delete, append to and subtract from single settings of a resource (KIP-339).

Versions 0–1. 1: flexible. Levels of loggers can be set and deleted (KIP-412).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.handlers.config_changes import AskedChange, change_configs
from protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


async def handle(
    broker: Broker, request: IncrementalAlterConfigsRequest, context: RequestContext
) -> IncrementalAlterConfigsResponse:
    """Answer every resource of the request, in its order."""
    asked = [
        AskedChange(
            resource.resource_type,
            resource.resource_name,
            [(config.name, config.config_operation, config.value) for config in resource.configs],
            replace=False,
        )
        for resource in request.resources
    ]
    answers = await change_configs(broker, context, asked, validate_only=request.validate_only)
    return IncrementalAlterConfigsResponse(
        responses=[
            IncrementalAlterConfigsResponse.AlterConfigsResourceResponse(
                error_code=answer.code,
                error_message=answer.message,
                resource_type=change.resource_type,
                resource_name=change.resource_name,
            )
            for change, answer in zip(asked, answers, strict=True)
        ]
    )

"""AlterConfigs: replace all settings of a resource; those not named go back to their defaults.

Versions 0–2. 2: flexible. Superseded by IncrementalAlterConfigs, and used by older clients. Levels of loggers cannot be
changed this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.handlers.config_changes import AskedChange, change_configs
from protocol.configs import ConfigOperation
from protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse

if TYPE_CHECKING:
    from logd.broker import Broker
    from logd.context import RequestContext


async def handle(
    broker: Broker, request: AlterConfigsRequest, context: RequestContext
) -> AlterConfigsResponse:
    """Answer every resource of the request, in its order."""
    asked = [
        AskedChange(
            resource.resource_type,
            resource.resource_name,
            [(config.name, ConfigOperation.SET, config.value) for config in resource.configs],
            replace=True,
        )
        for resource in request.resources
    ]
    answers = await change_configs(broker, context, asked, validate_only=request.validate_only)
    return AlterConfigsResponse(
        responses=[
            AlterConfigsResponse.AlterConfigsResourceResponse(
                error_code=answer.code,
                error_message=answer.message,
                resource_type=change.resource_type,
                resource_name=change.resource_name,
            )
            for change, answer in zip(asked, answers, strict=True)
        ]
    )

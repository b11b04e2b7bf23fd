"""DescribeConfigs: the settings of topics, of groups, of this broker, of all brokers, and the levels of loggers.

Versions 1–4. 1: synonyms (KIP-226). 3: type and documentation (KIP-569). 4: flexible. Properties that have no effect
here say so in their documentation. Client metrics have no settings yet.
Source: Kafka server/ConfigHelper.scala.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from logd.authorisation import Operation
from logd.handlers.config_resources import (
    check_allowed,
    check_is_this_node,
    resource_type,
)
from logd.settings.setting import Setting
from protocol.configs import ConfigResourceType, ConfigSource
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResponse
from replication.topic_names import topic_name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logd.broker import Broker
    from logd.config.key import ConfigKey
    from logd.context import RequestContext

_Result = DescribeConfigsResponse.DescribeConfigsResult
_Row = DescribeConfigsResponse.DescribeConfigsResourceResult
_Synonym = DescribeConfigsResponse.DescribeConfigsSynonym

# Kafka: DescribeConfigsResponse.ConfigType.
_TYPES: Final = {"boolean": 1, "string": 2, "int": 3, "short": 4, "long": 5, "double": 6, "list": 7}


# Resources described in one turn of the loop: so many topics are described in some 5 ms.
_PER_TURN: Final = 50


async def handle(
    broker: Broker, request: DescribeConfigsRequest, context: RequestContext
) -> DescribeConfigsResponse:
    """Answer every resource of the request, in its order, and each once: answers are much larger than requests."""
    results: list[_Result] = []
    described: set[tuple[int, str]] = set()
    for number, resource in enumerate(request.resources, 1):
        named = resource.resource_type, resource.resource_name
        if named in described:
            results.append(
                _Result(
                    error_code=ErrorCode.INVALID_REQUEST,
                    error_message="the resource is named twice",
                    resource_type=resource.resource_type,
                    resource_name=resource.resource_name,
                )
            )
        else:
            described.add(named)
            results.append(_describe(broker, request, context, resource))
        if number % _PER_TURN == 0:
            await asyncio.sleep(0)
    return DescribeConfigsResponse(results=results)


def _describe(
    broker: Broker,
    request: DescribeConfigsRequest,
    context: RequestContext,
    resource: DescribeConfigsRequest.DescribeConfigsResource,
) -> _Result:
    result = _Result(resource_type=resource.resource_type, resource_name=resource.resource_name)
    try:
        kind = resource_type(resource.resource_type)
        check_allowed(broker, context, Operation.DESCRIBE_CONFIGS, kind, resource.resource_name)
        if kind is ConfigResourceType.BROKER_LOGGER:
            rows: Iterable[_Row] = _logger_rows(broker, resource.resource_name)
        else:
            rows = (_row(request, setting) for setting in _settings(broker, kind, resource.resource_name))
        wanted = frozenset(resource.configuration_keys or ())
        result.configs = [row for row in rows if not wanted or row.name in wanted]
    except BrokerError as refusal:
        result.error_code = refusal.code
        result.error_message = refusal.text
    return result


def _settings(broker: Broker, kind: ConfigResourceType, name: str) -> list[Setting]:
    """Raises: BrokerError."""
    if kind is ConfigResourceType.TOPIC:
        return _topic_settings(broker, name)
    if kind is not ConfigResourceType.BROKER:
        if not name:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "the resource has no name")
        return _group_settings(broker, name) if kind is ConfigResourceType.GROUP else []
    from logd.settings.broker_settings import cluster_settings, node_settings  # noqa: PLC0415 - at first use

    if not name:
        return cluster_settings(broker.config)
    check_is_this_node(broker, name)
    return node_settings(broker.config)


def _topic_settings(broker: Broker, name: str) -> list[Setting]:
    from logd.settings.topic_settings import topic_settings  # noqa: PLC0415 - at first use

    problem = topic_name_problem(name)
    if problem is not None:
        raise BrokerError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
    image = broker.metadata.image
    if name not in image.topics:
        raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return topic_settings(image.topic_configs(name), broker.config)


def _group_settings(broker: Broker, name: str) -> list[Setting]:
    from logd.settings.group_settings import group_settings  # noqa: PLC0415 - at first use

    return group_settings(broker.metadata.image.configs(ConfigResourceType.GROUP, name), broker.config)


def _logger_rows(broker: Broker, name: str) -> list[_Row]:
    from logd.settings.loggers import logger_levels  # noqa: PLC0415 - at first use

    check_is_this_node(broker, name)
    return [
        _Row(name=logger, value=level, config_source=ConfigSource.LOGGER)
        for logger, level in logger_levels().items()
    ]


def _row(request: DescribeConfigsRequest, setting: Setting) -> _Row:
    row = _Row(
        name=setting.name,
        value=setting.value,
        read_only=setting.read_only,
        config_source=setting.source,
        config_type=_TYPES[setting.key.type],
        documentation=_documentation(setting.key) if request.include_documentation else None,
    )
    if request.include_synonyms:
        row.synonyms = [
            _Synonym(name=name, value=value, source=source) for name, value, source in setting.synonyms
        ]
    return row


def _documentation(key: ConfigKey) -> str:
    if key.without_effect:
        return f"{key.doc} It has no effect here: {key.without_effect}.".lstrip()
    return key.doc

"""Settings of topics and brokers as they are in force, with where each comes from (DescribeConfigs).

A resource is written as a user writes it: topic/NAME, broker/ID, broker/default for all brokers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from logd.cli.connection import about
from logd.cli.errors import UsageError
from logd.cli.topics import unknown_topic
from logd.clients.cluster_client import ClusterClient, broker_error
from protocol.configs import ConfigResourceType, ConfigSource
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResponse
from protocol.types import NodeId

DEFAULT = "default"
"""As a broker's name: what all brokers share."""

_KINDS = {ConfigResourceType.TOPIC: "topic", ConfigResourceType.BROKER: "broker"}
_SOURCES: dict[int, str] = {
    ConfigSource.TOPIC: "topic",
    ConfigSource.NODE: "broker",
    ConfigSource.CLUSTER: "broker/default",
    ConfigSource.START: "static",  # the broker's file, environment or command line
    ConfigSource.DEFAULT: "default",
    ConfigSource.LOGGER: "broker-logger",
    ConfigSource.CLIENT_METRICS: "client-metrics",
    ConfigSource.GROUP: "group",
}

_RESOURCES_MAX = 50  # in one request: all of a broker's topics at once would hold its other clients up
_NODE_ID_MAX = (1 << 31) - 1

_Wanted = DescribeConfigsRequest.DescribeConfigsResource
_Entry = DescribeConfigsResponse.DescribeConfigsResourceResult


class Resource(NamedTuple):
    """What has settings: a topic, a broker, or (with the empty name) all brokers."""

    kind: ConfigResourceType
    name: str

    def __str__(self) -> str:
        return f"{_KINDS[self.kind]}/{self.name or DEFAULT}"

    @property
    def own_source(self) -> str:
        """The source of what was set on it, rather than on what stands above it."""
        return (
            "broker/default"
            if self.kind == ConfigResourceType.BROKER and not self.name
            else _KINDS[self.kind]
        )

    @property
    def node(self) -> NodeId | None:
        """The one node that knows the answer; None where any does."""
        return int(self.name) if self.kind == ConfigResourceType.BROKER and self.name else None


class Setting(NamedTuple):
    """One property as it is in force."""

    name: str
    value: str | None
    """None where it is not set, or is sensitive."""
    source: str
    """Where the value comes from: topic, broker, broker/default, static (the broker's start), default."""
    is_default: bool
    is_dynamic: bool
    """Whether it can be changed while the broker runs."""
    is_sensitive: bool

    def row(self) -> dict[str, object]:
        """Its JSON object."""
        return {
            "name": self.name,
            "value": self.value,
            "source": self.source,
            "dynamic": self.is_dynamic,
            "sensitive": self.is_sensitive,
        }

    def text(self) -> str:
        """The value for people."""
        if self.is_sensitive:
            return "(hidden)"
        return "-" if self.value is None else self.value


def parse_resource(text: str) -> Resource:
    """The resource that a user writes as topic/NAME, broker/ID or broker/default. Raises UsageError."""
    kind, _, name = text.partition("/")
    if kind == "topic" and name:
        return Resource(ConfigResourceType.TOPIC, name)
    if kind == "broker" and name == DEFAULT:
        return Resource(ConfigResourceType.BROKER, "")
    if kind == "broker" and name.isascii() and name.isdigit() and int(name) <= _NODE_ID_MAX:
        return Resource(ConfigResourceType.BROKER, str(int(name)))
    raise UsageError(f"{text!r} has no settings", "write topic/NAME, broker/ID or broker/default")


async def describe_settings(
    cluster: ClusterClient, resources: Iterable[Resource]
) -> dict[Resource, list[Setting] | BrokerError]:
    """Ask for the settings of all `resources`, in the order of their names. What is refused stays with its resource."""
    by_node: dict[NodeId | None, list[Resource]] = defaultdict(list)
    for resource in resources:
        by_node[resource.node].append(resource)
    answers = await asyncio.gather(*(_ask_in_portions(cluster, node, rows) for node, rows in by_node.items()))
    return {resource: answer for each in answers for resource, answer in each.items()}


def refused(resource: Resource, error: BrokerError) -> BrokerError:
    """A resource's refusal in words that name it."""
    if resource.kind == ConfigResourceType.TOPIC and error.code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        return unknown_topic(resource.name)
    return about(str(resource), error)


async def _ask_in_portions(
    cluster: ClusterClient, node: NodeId | None, resources: list[Resource]
) -> dict[Resource, list[Setting] | BrokerError]:
    answers: dict[Resource, list[Setting] | BrokerError] = {}
    for start in range(0, len(resources), _RESOURCES_MAX):
        answers |= await _ask(cluster, node, resources[start : start + _RESOURCES_MAX])
    return answers


async def _ask(
    cluster: ClusterClient, node: NodeId | None, resources: list[Resource]
) -> dict[Resource, list[Setting] | BrokerError]:
    request = DescribeConfigsRequest(
        resources=[
            _Wanted(resource_type=each.kind, resource_name=each.name, configuration_keys=None)
            for each in resources
        ]
    )
    response: DescribeConfigsResponse = await cluster.call(request, node=node)
    return {
        Resource(ConfigResourceType(result.resource_type), result.resource_name): (
            sorted(map(_setting, result.configs))
            if result.error_code == ErrorCode.NONE
            else broker_error(result.error_code, result.error_message)
        )
        for result in response.results
    }


def _setting(entry: _Entry) -> Setting:
    return Setting(
        name=entry.name,
        value=None if entry.is_sensitive else entry.value,
        source=_SOURCES.get(entry.config_source, "unknown"),
        is_default=entry.config_source == ConfigSource.DEFAULT,
        is_dynamic=not entry.read_only,
        is_sensitive=entry.is_sensitive,
    )

"""`logd config list`: what was set on topics and brokers while they ran.

JSON: an array of {resource, name, value, sensitive}.
"""

from __future__ import annotations

import argparse

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.outcomes import tell_failures
from logd.cli.settings import Resource, Setting, describe_settings, parse_resource, refused
from logd.clients.cluster_client import ClusterClient
from protocol.configs import ConfigResourceType
from protocol.errors import BrokerError


def run(options: argparse.Namespace) -> int:
    named = [parse_resource(text) for text in options.resources]

    async def work(cluster: ClusterClient) -> int:
        resources = named or await _all_resources(cluster)
        answers = await describe_settings(cluster, resources)
        rows: list[tuple[Resource, Setting]] = []
        failures: list[BrokerError] = []
        for resource in dict.fromkeys(resources):
            answer = answers.get(resource, [])
            if isinstance(answer, BrokerError):
                failures.append(refused(resource, answer))
            else:
                rows += [(resource, each) for each in answer if each.source == resource.own_source]
        _print(options, rows)
        return tell_failures(failures)

    return run_with_client(options, work)


async def _all_resources(cluster: ClusterClient) -> list[Resource]:
    metadata = await cluster.metadata()
    topics = sorted(topic.name or "" for topic in metadata.topics)
    nodes = sorted(broker.node_id for broker in metadata.brokers)
    return [
        Resource(ConfigResourceType.BROKER, ""),
        *(Resource(ConfigResourceType.BROKER, str(node)) for node in nodes),
        *(Resource(ConfigResourceType.TOPIC, name) for name in topics),
    ]


def _print(options: argparse.Namespace, rows: list[tuple[Resource, Setting]]) -> None:
    if options.json:
        output.print_json(
            [
                {
                    "resource": str(resource),
                    "name": each.name,
                    "value": each.value,
                    "sensitive": each.is_sensitive,
                }
                for resource, each in rows
            ]
        )
    else:
        output.print_table(
            ("RESOURCE", "NAME", "VALUE"),
            [(str(resource), each.name, each.text()) for resource, each in rows],
        )
    output.flush()

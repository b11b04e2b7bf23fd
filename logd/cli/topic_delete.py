"""`logd topic delete`.

JSON: an array of {topic, deleted, error}.
"""

from __future__ import annotations

import argparse

from logd.cli.confirm import confirm
from logd.cli.connection import refusal, run_with_client
from logd.cli.outcomes import Outcome, print_outcomes
from logd.cli.patterns import is_pattern
from logd.cli.topics import select_topics, unknown_topic
from logd.clients.cluster_client import ClusterClient
from protocol.errors import ErrorCode
from protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse

_VERSION_BY_NAME = 5  # from 6 on a topic may be named by id as well, in another field
_NAMED_IN_QUESTION = 5


def run(options: argparse.Namespace) -> int:
    async def work(cluster: ClusterClient) -> int:
        patterns = [name for name in options.topics if is_pattern(name)]
        names = [name for name in options.topics if not is_pattern(name)]
        outcomes = []
        if patterns:
            found, failures = await select_topics(cluster, patterns)
            names += [topic.name or "" for topic in found]
            if not options.if_exists:
                outcomes = [
                    Outcome({"topic": pattern, "deleted": False}, "", error)
                    for pattern, error in failures.items()
                ]
        names = list(dict.fromkeys(names))
        if names and not options.yes:
            await confirm(_question(names))
        if names:
            outcomes += await _delete(options, cluster, names)
        return print_outcomes(options, outcomes)

    return run_with_client(options, work)


async def _delete(options: argparse.Namespace, cluster: ClusterClient, names: list[str]) -> list[Outcome]:
    request = DeleteTopicsRequest(topic_names=names, timeout_ms=int(options.timeout * 1000))
    response: DeleteTopicsResponse = await cluster.call(request, version=_VERSION_BY_NAME)
    by_name = {row.name: row for row in response.responses}
    return [_outcome(options, by_name[name]) for name in names if name in by_name]


def _outcome(options: argparse.Namespace, result: DeleteTopicsResponse.DeletableTopicResult) -> Outcome:
    name = result.name or ""
    row = {"topic": name, "deleted": result.error_code == ErrorCode.NONE}
    if result.error_code != ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
        return Outcome(
            row, f"deleted {name}", refusal(f"topic {name}", result.error_code, result.error_message)
        )
    if options.if_exists:
        return Outcome(row, f"{name} does not exist")
    return Outcome(row, "", unknown_topic(name))


def _question(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED_IN_QUESTION])
    more = f" and {len(names) - _NAMED_IN_QUESTION} more" if len(names) > _NAMED_IN_QUESTION else ""
    what = "topic" if len(names) == 1 else f"{len(names)} topics:"
    return f"delete {what} {shown}{more}, with all records?"

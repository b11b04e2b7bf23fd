"""CreatePartitions: add partitions to topics, or only say whether they could be added.

Versions 0–3. 2: flexible. 3: a client may be told to slow down (KIP-599), which does not happen here. The logs of the
new partitions are open when the answer leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from logd.authorisation import Operation, ResourceType
from logd.within import within
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.create_partitions import CreatePartitionsRequest, CreatePartitionsResponse
from replication.metadata_commands import CreatePartitions, MorePartitions, PartitionCreation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.broker import Broker
    from logd.context import RequestContext

_Result = CreatePartitionsResponse.CreatePartitionsTopicResult


async def handle(
    broker: Broker, request: CreatePartitionsRequest, context: RequestContext
) -> CreatePartitionsResponse:
    """Answer every topic of the request once, in the order in which they are first named."""
    results: dict[str, _Result | None] = {}
    topics: dict[str, MorePartitions] = {}
    for topic in request.topics:
        if topic.name in results:
            results[topic.name] = _result(topic.name, ErrorCode.INVALID_REQUEST, "the topic is named twice")
            topics.pop(topic.name, None)
        elif not broker.authorise(context, Operation.ALTER, ResourceType.TOPIC, topic.name):
            results[topic.name] = _result(topic.name, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
        else:
            results[topic.name] = None
            topics[topic.name] = _more_partitions(topic)
    if topics:
        command = CreatePartitions(tuple(topics.values()), request.validate_only)
        for creation in await _create(broker, command, request.timeout_ms):
            results[creation.name] = _result(creation.name, creation.code, creation.message)
    return CreatePartitionsResponse(results=[result for result in results.values() if result is not None])


async def _create(broker: Broker, command: CreatePartitions, timeout_ms: int) -> Sequence[PartitionCreation]:
    """Submit the command; what concerns all topics alike is put on each."""
    try:
        return await within(timeout_ms, broker.metadata.submit(command))
    except TimeoutError:
        code, message = ErrorCode.REQUEST_TIMED_OUT, "the partitions are still being created"
    except BrokerError as refusal:
        code, message = refusal.code, refusal.text
    return [PartitionCreation(topic.name, code, message) for topic in command.topics]


def _more_partitions(topic: CreatePartitionsRequest.CreatePartitionsTopic) -> MorePartitions:
    assignments = topic.assignments
    return MorePartitions(
        topic.name,
        topic.count,
        None if assignments is None else [assignment.broker_ids for assignment in assignments],
    )


def _result(name: str, code: ErrorCode, message: str | None = None) -> _Result:
    return _Result(name=name, error_code=code, error_message=(message or code.text) if code else None)

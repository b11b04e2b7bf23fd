"""Clients of the broker, configured alike, and what to do with their errors.

Producers partition as Java's do. Consumers read committed records only and never commit offsets by themselves:
offsets are part of the transaction that holds the results.

An instance keeps its name over restarts, as a static member of its group and as the owner of its transactional id. So
a process that is killed and started again gets its partitions back at once, without a rebalance, and ends the
transaction that it left open, which would hold up readers until it timed out. One that is stopped leaves the group.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from services.runtime.logs import log
from services.runtime.settings import RuntimeSettings

T = TypeVar("T")

_LOG_EVERY_S = 10.0
_HEARTBEAT_MOST_MS = 500
_UNTIL_FLUSHED_MS = 5000
PATIENCE_S = 30.0  # with a broker that is away, before the process gives up and is started anew


def group_consumer(settings: RuntimeSettings, group: str, client_id: str, **more: Any) -> Consumer:
    """A member of the application's group."""
    return Consumer(
        _common(settings, client_id)
        | {
            "group.id": group,
            "group.instance.id": f"{group}-{settings.instance}",
            "partition.assignment.strategy": "range",  # gives equal partitions of all topics to one member
            "session.timeout.ms": settings.session_timeout_ms,
            # How soon members hear that one has left or joined; asked of the broker that often, too.
            "heartbeat.interval.ms": max(min(settings.session_timeout_ms // 6, _HEARTBEAT_MOST_MS), 1),
            "auto.offset.reset": "error",
        }
        | _READING
        | more
    )


def reader(settings: RuntimeSettings, client_id: str, **more: Any) -> Consumer:
    """A consumer that is told its partitions and has no group. It learns where a partition ends."""
    return Consumer(
        _common(settings, client_id)
        | {"group.id": f"{client_id}-no-group", "enable.partition.eof": True, "auto.offset.reset": "earliest"}
        | _READING
        | more
    )


def transactional_producer(settings: RuntimeSettings, application: str) -> Producer:
    transactional_id = f"{application}-{settings.instance}"
    return Producer(
        _common(settings, transactional_id)
        | _WRITING
        | {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
            "delivery.timeout.ms": settings.transaction_timeout_ms,  # no use in trying for longer
            # Records leave when the commit flushes them, a request for each partition: nobody may read them before.
            # A linger that ends earlier costs more requests, and from its end on the client spins until the
            # coordinator has heard of the partition.
            "linger.ms": min(_UNTIL_FLUSHED_MS, settings.transaction_timeout_ms // 2),  # below the delivery's
        }
    )


def plain_producer(settings: RuntimeSettings, client_id: str) -> Producer:
    """Each record once, in the order given, whatever has to be sent again."""
    return Producer(_common(settings, client_id) | _WRITING | {"enable.idempotence": True, "linger.ms": 2})


def admin(settings: RuntimeSettings) -> AdminClient:
    """Requests end with it: keep it until they are answered."""
    return AdminClient(_common(settings, "orders-admin"))


def insist(call: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """Repeat a step of a transaction until it succeeds, where the client says it may be. Raises KafkaException."""
    return _repeat(call, lambda error: error.retriable(), patience_s)


def ask(question: Callable[[], T]) -> T:
    """Repeat a question to a cluster that is not ready to answer it. Raises KafkaException."""
    return _repeat(question, lambda error: error.retriable() or error.code() in NOT_NOW, PATIENCE_S)


def read_batch(consumer: Consumer, most: int, wait_s: float) -> list[Message]:
    """What is there, errors included, as soon as anything is. `consume` waits for its whole time unless it is full."""
    first = consumer.poll(wait_s)
    return [] if first is None else [first, *consumer.consume(most - 1, 0)]


def _repeat(call: Callable[[], T], may_be_repeated: Callable[[KafkaError], bool], patience_s: float) -> T:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return call()
        except KafkaException as error:
            if not may_be_repeated(error_of(error)) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def error_of(error: KafkaException) -> KafkaError:
    kafka_error: KafkaError = error.args[0]
    return kafka_error


NOT_NOW = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # of a new topic, until all have heard of it
    KafkaError.UNSTABLE_OFFSET_COMMIT,
}
_READING = {
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
    "fetch.wait.max.ms": 500,
    "queued.min.messages": 5000,
    "queued.max.messages.kbytes": 16_384,
}
_WRITING = {
    "acks": "all",
    "partitioner": "murmur2_random",
    "delivery.timeout.ms": 60_000,
    "queue.buffering.max.messages": 200_000,
}


def _common(settings: RuntimeSettings, client_id: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": client_id,
        "error_cb": _ErrorLog(),
        "log_level": 2,  # what matters comes by error_cb
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        # The default begins anew from the bootstrap servers when no broker answers; with librdkafka 2.16 requests to
        # a coordinator may then wait for ever, for a broker that was thrown away: confluentinc/librdkafka#5511.
        "metadata.recovery.strategy": "none",
    }


class _ErrorLog:
    """Logs what a client reports, each kind once in a while: without a broker the same comes many times a second."""

    def __init__(self) -> None:
        self._logged_at: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(error.code(), -_LOG_EVERY_S) >= _LOG_EVERY_S:
            self._logged_at[error.code()] = now
            log(__name__, "client error", level=logging.WARNING, code=error.name(), text=error.str())

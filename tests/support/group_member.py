"""One consumer in a group, as a process of its own, so that a test may stop it, kill it or have it hang.

    python -m tests.support.group_member CLIENT BOOTSTRAP GROUP TOPIC [name=value …]

CLIENT is kafka-python, confluent, confluent-consumer (the protocol of KIP-848) or aiokafka. Clients in other languages
take and tell the same: tests/compat/java/src/ConsumerGroupMember.java, tests/compat/go/member.go,
tests/compat/node/member.js; tests/support/group_clients.py starts them all. Options: `instance` (group instance id),
`session` (timeout in ms), `strategy`.
It commits after every poll, leaves on SIGTERM, and tells what happens to it, a line each: `assigned 0,3`,
`got PARTITION OFFSET`, `failed WHY`, `left`; confluent-kafka and franz-go also `committed PARTITION OFFSET` once that
is acknowledged; those in Python and franz-go `uncommitted WHY` where a rebalance or a restart of the broker was faster.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from types import FrameType
from typing import Any

_POLL_S = 0.05
_LONG_POLL_MS = 2_000
"""A poll of kafka-python 3.0.12 that ends while it joins may leave it without heartbeats, and hanging, afterwards."""
_HEARTBEAT_MS = 300
_RECONNECT_MS = 200
"""At most so long between two attempts to connect; by themselves clients wait ever longer."""
_BATCH = 500
_ended = False


def _end(_signal: int, _frame: FrameType | None) -> None:
    global _ended  # noqa: PLW0603 - what a signal handler can reach
    _ended = True


def _tell(*words: object) -> None:
    print(*words, flush=True)


def _tell_assigned(partitions: Iterable[Any]) -> None:
    _tell("assigned", ",".join(map(str, sorted(each.partition for each in partitions))))


def _kafka_python(bootstrap: str, group: str, topic: str, options: Mapping[str, str]) -> None:
    from kafka import ConsumerRebalanceListener, KafkaConsumer  # noqa: PLC0415 - one client in each process
    from kafka.coordinator.assignors.range import RangePartitionAssignor  # noqa: PLC0415
    from kafka.errors import CommitFailedError, RetriableError  # noqa: PLC0415

    session_ms = int(options.get("session", "10000"))
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        group_instance_id=options.get("instance"),
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=_HEARTBEAT_MS,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],
        reconnect_backoff_max_ms=_RECONNECT_MS,
    )

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # without types
        def on_partitions_revoked(self, revoked: Any) -> None: ...

        def on_partitions_assigned(self, assigned: Any) -> None:
            _tell_assigned(consumer.assignment())

    consumer.subscribe([topic], listener=Listener())
    while not _ended:
        try:
            polled = consumer.poll(timeout_ms=_LONG_POLL_MS)
            for record in chain.from_iterable(polled.values()):
                _tell("got", record.partition, record.offset)
            if polled:
                consumer.commit()
        except (
            CommitFailedError,
            RetriableError,
        ) as error:  # as a broker that is away: the caller is to go on
            _tell("uncommitted", type(error).__name__)
    consumer.close()


def _confluent(bootstrap: str, group: str, topic: str, options: Mapping[str, str]) -> None:
    strategy = options.get("strategy", "range")
    settings = {
        "session.timeout.ms": int(options.get("session", "10000")),
        "heartbeat.interval.ms": _HEARTBEAT_MS,
        "partition.assignment.strategy": strategy,
    }
    _run_confluent(bootstrap, group, topic, options, settings, incremental="cooperative" in strategy)


def _confluent_consumer(bootstrap: str, group: str, topic: str, options: Mapping[str, str]) -> None:
    """Sessions and heartbeats are the broker's settings."""
    settings = {"group.protocol": "consumer"}
    _run_confluent(bootstrap, group, topic, options, settings, incremental=True)


def _run_confluent(
    bootstrap: str,
    group: str,
    topic: str,
    options: Mapping[str, str],
    settings: Mapping[str, Any],
    *,
    incremental: bool,
) -> None:
    from confluent_kafka import Consumer, KafkaError, KafkaException  # noqa: PLC0415

    common = {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "reconnect.backoff.max.ms": _RECONNECT_MS,
    }
    if "instance" in options:
        common["group.instance.id"] = options["instance"]
    consumer = Consumer({**common, **settings})

    def assigned(_consumer: Consumer, partitions: list[Any]) -> None:
        if incremental:
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)
        _tell_assigned(consumer.assignment())

    def revoked(_consumer: Consumer, partitions: list[Any]) -> None:
        if incremental:
            consumer.incremental_unassign(partitions)
            try:
                _tell_assigned(consumer.assignment())
            except KafkaException as error:
                # Closing revokes as well, and there may be no assignment to ask for any more.
                if error.args[0].code() != KafkaError._DESTROY:
                    raise
                _tell_assigned([])
        else:
            consumer.unassign()

    consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)
    owes = False  # a commit of what it has read
    while not _ended:
        for message in consumer.consume(_BATCH, _POLL_S):
            error = message.error()
            if error is None:
                _tell("got", message.partition(), message.offset())
                owes = True
            elif error.code() == KafkaError._FATAL:
                raise RuntimeError(error.str())
        if owes:
            owes = _commit_confluent(consumer)
    consumer.close()


def _commit_confluent(consumer: Any) -> bool:
    """Whether something is left to commit."""
    from tests.support.commits import commit_what_was_read  # noqa: PLC0415

    made = commit_what_was_read(consumer)
    for committed in made.offsets.items():
        _tell("committed", *committed)
    if made.refused:
        _tell("uncommitted", made.refused)
    return made.owes


def _aiokafka(bootstrap: str, group: str, topic: str, options: Mapping[str, str]) -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener  # noqa: PLC0415
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor  # noqa: PLC0415
    from aiokafka.errors import CommitFailedError  # noqa: PLC0415

    session_ms = int(options.get("session", "10000"))

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # without types
        async def on_partitions_revoked(self, revoked: Any) -> None: ...

        async def on_partitions_assigned(self, assigned: Any) -> None:
            _tell_assigned(assigned)

    async def main() -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            group_instance_id=options.get("instance"),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        consumer.subscribe([topic], listener=Listener())
        await consumer.start()
        while not _ended:
            polled = await consumer.getmany(timeout_ms=int(_POLL_S * 1000))
            for record in chain.from_iterable(polled.values()):
                _tell("got", record.partition, record.offset)
            try:
                if polled:
                    await consumer.commit()
            except CommitFailedError as error:
                _tell("uncommitted", type(error).__name__)
        await consumer.stop()

    asyncio.run(main())


CLIENTS: dict[str, Callable[[str, str, str, Mapping[str, str]], None]] = {
    "kafka-python": _kafka_python,
    "confluent": _confluent,
    "confluent-consumer": _confluent_consumer,
    "aiokafka": _aiokafka,
}


def main() -> None:
    client, bootstrap, group, topic, *options = sys.argv[1:]
    signal.signal(signal.SIGTERM, _end)
    try:
        CLIENTS[client](bootstrap, group, topic, dict(option.split("=", 1) for option in options))
    except Exception as error:
        _tell("failed", type(error).__name__, error)
        raise
    _tell("left")


if __name__ == "__main__":
    main()

"""The writing half of an application: one transaction after the other.

A commit is, in this order:

    changes of state → changelog      produced
    everything produced               flushed: it is in the log before the group hears of it
    positions → group                 refused if the partitions belong to somebody else by now
    commit

No step is repeated for longer than the transaction may last: the coordinator has ended it by then. A process that gives
up is started anew and ends what it left open, which is also the way out when a client waits in vain for a coordinator
that has come back.

Why flushed first: a successor reads the changelog up to its end before it works. If positions were accepted while
records were still on their way, they could land behind that end and be committed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from services.runtime.clients import ask, insist, transactional_producer
from services.runtime.murmur2 import partition_of
from services.runtime.settings import RuntimeSettings
from services.runtime.store import StateStore
from services.runtime.turn import Emitted

_FLUSH_S = 60
_CALL_S = 5


class Output:
    """Every method raises KafkaException."""

    def __init__(self, settings: RuntimeSettings, application: str) -> None:
        """Fences the predecessor of the same name and ends what it left open."""
        self._producer: Producer = transactional_producer(settings, application)
        self._patience_s = settings.transaction_timeout_ms / 1000
        self._partition_counts: dict[str, int] = {}
        self.is_open = False
        insist(lambda: self._producer.init_transactions(_CALL_S))

    def emit(self, emitted: Emitted) -> None:
        topic, key, value, timestamp_ms, headers, partition = emitted
        if partition is None:
            partition = 0 if key is None else partition_of(key, self._partition_count(topic))
        more: dict[str, Any] = {} if timestamp_ms is None else {"timestamp": timestamp_ms}
        if headers:
            more["headers"] = list(headers)
        self._produce(topic, partition, key, value, **more)

    def commit(
        self,
        positions: Mapping[tuple[str, int], int],
        consumer: Consumer,
        stores: Mapping[int, StateStore],
        changelog: str,
    ) -> dict[int, int]:
        """The changelog's offset after the last change, for each partition that changed."""
        ends: dict[int, int] = {}

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None:
                number, offset = message.partition() or 0, message.offset() or 0
                ends[number] = max(ends.get(number, 0), offset + 1)

        self._begin()
        for number, store in stores.items():
            for key, value in store.changes.items():
                self._produce(changelog, number, key, value, on_delivery=on_delivery)
        left = self._producer.flush(_FLUSH_S)
        if left:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{left} records were not written"))
        if positions:
            member = consumer.consumer_group_metadata()
            offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()]
            self._insist(lambda: self._producer.send_offsets_to_transaction(offsets, member, _CALL_S))
        self._insist(lambda: self._producer.commit_transaction(_CALL_S))
        self.is_open = False
        return ends

    def abort(self) -> None:
        if self.is_open:
            self._insist(lambda: self._producer.abort_transaction(_CALL_S))
            self.is_open = False

    def _insist(self, step: Callable[[], None]) -> None:
        insist(step, self._patience_s)

    def _begin(self) -> None:
        if not self.is_open:
            self._producer.begin_transaction()
            self.is_open = True

    def _produce(self, topic: str, number: int, key: bytes | None, value: bytes | None, **more: Any) -> None:
        self._begin()
        while True:
            try:
                self._producer.produce(topic, value, key, number, **more)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _partition_count(self, topic: str) -> int:
        if topic not in self._partition_counts:
            described = ask(lambda: self._producer.list_topics(topic, _CALL_S)).topics[topic]
            if described.error is not None:
                raise KafkaException(described.error)
            self._partition_counts[topic] = len(described.partitions)
        return self._partition_counts[topic]

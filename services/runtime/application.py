"""The loop of a service: read, handle, and commit results, state and positions in one transaction.

An instance holds some partition numbers of all input topics, and for each the state that belongs to them. Handlers
put into the state and emit records; nothing of that is visible before the commit (output.py), and only after it do
changes reach the local file (store.py).

What fails before the commit is rolled back: state forgotten, positions wound back, the records handled again. What
cannot be rolled back (fenced by a process of the same name, a broker away for a minute) ends the process, which is
made to be started anew at any time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.runtime import metrics
from services.runtime.changelog import Changelog
from services.runtime.clients import ask, error_of, group_consumer
from services.runtime.logs import log
from services.runtime.output import Output
from services.runtime.progress import Progress
from services.runtime.records import Unprocessable, record_of
from services.runtime.settings import RuntimeSettings
from services.runtime.store import StateStore
from services.runtime.topology import Topology
from services.runtime.turn import Turn

_BATCH = 500
_TICK_S = 1.0
_POLL_S = 0.2
_STALLED_S = 90.0
_REASON_MOST = 1000  # characters: a reason may quote what was sent
_LEAVE_MOST_S = 25.0  # who stops a process kills it after half a minute, or sooner


class CannotGoOn(Exception):
    """The process has to end, and may be started again."""


class Application:
    """One instance. `on_owned` is told the partition numbers each time they change, in the loop's thread."""

    def __init__(
        self,
        topology: Topology,
        settings: RuntimeSettings,
        *,
        url: str,
        on_owned: Callable[[frozenset[int]], None] = lambda _numbers: None,
    ) -> None:
        """`url`, where others reach this process, is part of the client id, so that the group shows it."""
        self._topology = topology
        self._settings = settings
        self._client_id = f"{topology.application}-{settings.instance}@{url}"
        self._on_owned = on_owned
        self._owned: frozenset[int] = frozenset()
        self._is_leaving = False
        self._stores: dict[int, StateStore] = {}
        self._committed: dict[tuple[str, int], int] = {}  # positions, of what is assigned
        self._progress = Progress(settings.commit_interval_ms / 1000, settings.idle_commit_interval_ms / 1000)
        self._last_turn_at = time.monotonic()

    def health(self) -> tuple[bool, dict[str, object]]:
        silent_s = time.monotonic() - self._last_turn_at
        return silent_s < _STALLED_S, {
            "application": self._topology.application,
            "instance": self._settings.instance,
            "partitions": sorted(self._owned),
            "seconds_since_last_turn": round(silent_s, 3),
        }

    def run(self, stop: Event) -> None:
        """Until `stop` is set. Raises CannotGoOn, KafkaException."""
        self._open()
        try:
            next_tick = 0.0
            while not stop.is_set():
                self._last_turn_at = time.monotonic()
                self._topology.on_turn()
                try:
                    self._handle_batch()
                    if time.monotonic() >= next_tick:
                        self._tick()
                        next_tick = time.monotonic() + _TICK_S
                    if self._progress.seconds_to_commit() == 0:
                        self._commit()
                except KafkaException as error:
                    self._roll_back(error)
                    self._rewind()
            if self._settings.leave_on_stop:
                self._leave()
        finally:
            self._consumer.close()  # commits, through _on_revoke
            self._topology.on_stop()
            log(__name__, "stopped", application=self._topology.application)

    def _open(self) -> None:
        name = self._topology.application
        self._changelog = None
        if self._topology.changelog is not None:
            directory = Path(self._settings.state_dir) / f"{name}-{self._settings.instance}"
            self._changelog = Changelog(self._settings, self._topology.changelog, directory)
        self._output = Output(self._settings, name)
        self._topology.on_start()
        self._consumer: Consumer = group_consumer(self._settings, name, self._client_id)
        self._consumer.subscribe(
            list(self._topology.handlers),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        log(__name__, "started", application=name, bootstrap=self._settings.bootstrap)

    def _leave(self) -> None:
        """Hand the partitions over now: a static member that only closes keeps them until its session ends.

        It has a member id from the first answer of the group on, without which it cannot leave, and until it has left.
        While a rebalance is under way, librdkafka puts off the end of the subscription until that is over, with
        whatever callbacks belong to it. What is read meanwhile is for the successor. Who is killed can hold up a
        rebalance for a session: it is waited for that long, and a little longer.
        """
        log(__name__, "leaving", application=self._topology.application)
        self._is_leaving = True
        deadline = time.monotonic() + min(self._settings.session_timeout_ms / 1000 + 2, _LEAVE_MOST_S)
        while not self._consumer.memberid() and time.monotonic() < deadline:
            self._consumer.poll(0.05)
        self._consumer.unsubscribe()
        while self._consumer.memberid() and time.monotonic() < deadline:
            self._consumer.poll(0.05)

    def _handle_batch(self) -> None:
        """One record at a time: in between, any poll may bring a rebalance, which commits or drops what is done."""
        wait = self._progress.seconds_to_commit()
        message = self._consumer.poll(_POLL_S if wait is None else min(wait, _POLL_S))
        for _ in range(_BATCH):
            if message is None:
                return
            self._handle(message)
            message = self._consumer.poll(0)
        if message is not None:
            self._handle(message)

    def _handle(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            self._on_read_error(error)
            return
        record = record_of(message)
        turn = Turn(record.partition, self._stores.get(record.partition))
        try:
            self._topology.handlers[record.topic](record, turn)
        except Unprocessable as refusal:
            turn.undo()
            reason = str(refusal)[:_REASON_MOST]
            self._topology.dead_letter(record, reason, turn)
            turn.after_commit(metrics.DEAD_LETTERS.labels(record.topic).inc)
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log(__name__, "dead letter", level=logging.WARNING, reason=reason, **where)
        self._progress.add(turn, record)
        self._emit(turn)

    def _emit(self, turn: Turn) -> None:
        for emitted in turn.emitted:
            self._output.emit(emitted)

    def _on_read_error(self, error: KafkaError) -> None:
        # Fatal is among others: fenced, by a process of the same name or by itself, when it had to join twice.
        if error.fatal() or error.code() in (KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET):
            raise CannotGoOn(error.str())
        log(__name__, "read error", level=logging.WARNING, code=error.name(), text=error.str())

    def _tick(self) -> None:
        self._measure_lag()
        if self._topology.on_tick is None:
            return
        for number, store in self._stores.items():
            turn = Turn(number, store)
            self._topology.on_tick(turn)
            self._progress.add(turn, None)
            self._emit(turn)

    def _measure_lag(self) -> None:
        for topic, number in self._committed:
            partition = TopicPartition(topic, number)
            _low, high = self._consumer.get_watermark_offsets(partition, cached=True)
            position = self._progress.positions.get((topic, number), self._committed[topic, number])
            metrics.LAG.labels(topic, str(number)).set(max(high - max(position, 0), 0))

    def _commit(self) -> None:
        """Raises KafkaException, and then nothing was committed."""
        if self._progress.is_empty:
            return
        started = time.monotonic()
        positions = self._progress.positions
        ends = self._output.commit(positions, self._consumer, self._stores, self._topology.changelog or "")
        for number, end in ends.items():
            self._stores[number].commit(end)
        self._committed |= positions
        metrics.COMMIT_SECONDS.observe(time.monotonic() - started)
        metrics.count(self._progress.record_times)
        for action in self._progress.actions:
            action()
        self._progress.forget()

    def _roll_back(self, cause: KafkaException) -> None:
        """Raises KafkaException when that is not possible."""
        error = error_of(cause)
        log(__name__, "rolling back", level=logging.WARNING, code=error.name(), text=error.str())
        if error.fatal() or error.code() == KafkaError._FATAL:
            raise CannotGoOn(error.str()) from cause
        self._output.abort()
        metrics.ABORTED.inc()
        self._forget()

    def _rewind(self) -> None:
        for (topic, number), offset in self._committed.items():
            self._consumer.seek(TopicPartition(topic, number, offset))

    def _forget(self) -> None:
        self._progress.forget()
        for store in self._stores.values():
            store.discard()

    # Partitions come and go. These are called from within poll.

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        if self._is_leaving:
            return  # they are given back at once
        numbers = frozenset(partition.partition for partition in assigned)
        for topic in self._topology.handlers:
            held = {partition.partition for partition in assigned if partition.topic == topic}
            assert held == numbers, f"{topic} is not partitioned as the others: {held}, {set(numbers)}"
        try:
            self._take_over(consumer, assigned, sorted(numbers))
        except KafkaException as error:
            raise CannotGoOn(error_of(error).str()) from error
        self._own(numbers)

    def _take_over(self, consumer: Consumer, assigned: list[TopicPartition], numbers: list[int]) -> None:
        # Positions first: the answer waits until no predecessor's transaction is pending on them. So the
        # changelog's end, asked for after that, lies behind all that belongs to these positions.
        found = ask(lambda: consumer.committed(assigned, 10)) if assigned else []
        self._committed = {
            (partition.topic, partition.partition): max(partition.offset, OFFSET_BEGINNING)
            for partition in found
        }
        self._stores = self._changelog.open(numbers) if self._changelog is not None else {}
        consumer.assign(
            [TopicPartition(topic, number, offset) for (topic, number), offset in self._committed.items()]
        )

    def _on_revoke(self, _consumer: Consumer, _revoked: list[TopicPartition]) -> None:
        try:
            self._commit()
        except KafkaException as error:
            self._roll_back(error)
        self._release()

    def _on_lost(self, _consumer: Consumer, _lost: list[TopicPartition]) -> None:
        self._output.abort()
        self._release()

    def _release(self) -> None:
        self._forget()
        for store in self._stores.values():
            store.close()
        self._stores = {}
        self._committed = {}
        self._own(frozenset())

    def _own(self, numbers: frozenset[int]) -> None:
        self._owned = numbers
        log(__name__, "partitions", application=self._topology.application, numbers=sorted(numbers))
        self._on_owned(numbers)

"""Copies one topic to another exactly once, as a process of its own, so that a test may kill or stop it anywhere.

    python -m tests.reliability.copier BOOTSTRAP GROUP SOURCE TARGET ID PER_TRANSACTION PROTOCOL

A member of GROUP that reads committed records of SOURCE and writes each to the same partition of TARGET, so many in one
transaction of the transactional id, together with the group's offsets. It tells `committed COUNT` after each
transaction, `aborted WHY`, and `failed WHY` before it ends because the client gave up. What a transaction had
taken is read again after it was aborted. PROTOCOL is the group's: classic or consumer (KIP-848).

GROUP has an offset for every partition before the first copier starts, and is never without one: a copier that is told
otherwise fails with an AssertionError. Nor may it ask where a partition begins, for librdkafka (2.16) can then read
twice: when the answer (ListOffsets) comes after the partition was revoked, `rd_kafka_toppar_handle_Offset` sees that it
is out of date and asks again, which starts fetching what is assigned to nobody; should the partition be assigned to the
same member half a second later or more, it may hand out some of that, and then once more from the assigned offset on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

SESSION_MS = 3_000
TRANSACTION_MS = 30_000
_POLL_S = 0.1
_CALL_S = 60
_RECONNECT: dict[str, Any] = {
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 200,
    # Else send_offsets_to_transaction hangs after the only broker was away: confluentinc/librdkafka#5511.
    "metadata.recovery.strategy": "none",
}


class Copier:
    """One consumer, one transactional producer, and what the open transaction has taken."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        source: str,
        target: str,
        transactional_id: str,
        per_transaction: int,
    ) -> None:
        self._target = target
        self._per_transaction = per_transaction
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "transactional.id": transactional_id,
                "transaction.timeout.ms": TRANSACTION_MS,
                "linger.ms": 5,
                "error_cb": lambda _error: None,  # a fatal one comes out of the next call
                **_RECONNECT,
            }
        )
        self._consumer_settings: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "error",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **_RECONNECT,
        }
        self._source = source
        self._next: dict[int, int] = {}
        """Where to go on in each partition that the open transaction has read from."""
        self._taken = 0

    def run(self, protocol: str) -> None:
        """Copy until killed."""
        if protocol == "consumer":
            own = {"group.protocol": "consumer"}
        else:
            own = {
                "session.timeout.ms": SESSION_MS,
                "heartbeat.interval.ms": 300,
                "partition.assignment.strategy": "range",
            }
        _insist(lambda: self._producer.init_transactions(_CALL_S))
        self._consumer = Consumer({**self._consumer_settings, **own})
        self._consumer.subscribe([self._source], on_revoke=self._revoked, on_lost=self._lost)
        while True:
            self._turn()

    def _turn(self) -> None:
        room = self._per_transaction - self._taken
        messages = [each for each in self._consumer.consume(room, _POLL_S) if self._is_record(each)]
        try:
            for message in messages:
                self._copy(message)
            if self._taken >= self._per_transaction or not messages:
                self._commit()
        except KafkaException as failure:
            self._abort(failure)
            self._rewind()

    def _is_record(self, message: Message) -> bool:
        """Whether it is not an error; one that passes is left to the client. Raises: KafkaException."""
        error = message.error()
        if error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
            # Also when OffsetFetch said UNSTABLE_OFFSET_COMMIT and the assignment had changed meanwhile: begin anew.
            self._committed([TopicPartition(self._source, message.partition() or 0)])
            raise KafkaException(error)
        return error is None

    def _copy(self, message: Message) -> None:
        partition, offset = message.partition(), message.offset()
        assert partition is not None and offset is not None
        if not self._taken:
            self._producer.begin_transaction()
        self._taken += 1
        self._next[partition] = offset + 1
        self._producer.produce(self._target, message.value(), key=message.key(), partition=partition)
        self._producer.poll(0)

    def _commit(self) -> None:
        """Raises KafkaException when the transaction is to be aborted."""
        if not self._taken:
            return
        offsets = [TopicPartition(self._source, *each) for each in self._next.items()]
        member = self._consumer.consumer_group_metadata()
        _insist(lambda: self._producer.send_offsets_to_transaction(offsets, member, _CALL_S))
        _insist(lambda: self._producer.commit_transaction(_CALL_S))
        _tell("committed", self._taken)
        self._forget()

    def _abort(self, failure: KafkaException) -> None:
        error = failure.args[0]
        # A call on a producer whose transaction has failed meanwhile says no more than that the state is wrong.
        if not error.txn_requires_abort() and error.code() != KafkaError._STATE:
            raise failure
        _tell("aborted", error.name(), error.str())
        if self._taken:
            _insist(lambda: self._producer.abort_transaction(_CALL_S))
        self._forget()

    def _forget(self) -> None:
        self._taken = 0
        self._next.clear()

    def _rewind(self, without: frozenset[int] = frozenset()) -> None:
        """Go back to what the group has committed."""
        mine = [each for each in self._consumer.assignment() if each.partition not in without]
        for each in self._committed(mine) if mine else ():
            _insist(lambda at=each: self._consumer.seek(at))  # type: ignore[misc]

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        while True:
            found: list[TopicPartition] = _insist(lambda: self._consumer.committed(partitions, _CALL_S))
            if all(each.error is None for each in found):  # else a transaction may yet move one
                break
        for each in found:
            assert each.offset >= 0, f"the group has no offset for partition {each.partition}"
        return found

    def _revoked(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """What was taken is committed while the partitions are still this member's."""
        try:
            self._commit()
        except KafkaException as failure:
            self._abort(failure)
            self._rewind(frozenset(each.partition for each in partitions))

    def _lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Somebody else may be reading already."""
        if self._taken:
            _insist(lambda: self._producer.abort_transaction(_CALL_S))
            _tell("aborted", "lost")
            self._forget()


def _insist(call: Callable[[], Any]) -> Any:
    """Call until the answer is something else than that the same call may succeed later."""
    while True:
        try:
            return call()
        except KafkaException as failure:
            error = failure.args[0]
            if not error.retriable() or error.txn_requires_abort():
                raise


def _tell(*words: object) -> None:
    print(*words, flush=True)


def main() -> None:
    bootstrap, group, source, target, transactional_id, per_transaction, protocol = sys.argv[1:]
    try:
        Copier(bootstrap, group, source, target, transactional_id, int(per_transaction)).run(protocol)
    except Exception as error:
        _tell("failed", type(error).__name__, error)
        raise


if __name__ == "__main__":
    main()

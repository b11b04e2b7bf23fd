"""A transactional producer as Java's is: what it asks, in which order, and which error leads to what.

    INITIALIZING → READY → IN_TRANSACTION → COMMITTING or ABORTING → READY, or INITIALIZING for a new epoch
                                └─ an error: ABORTABLE_ERROR → ABORTING, or FATAL_ERROR, the end

One request to a coordinator is out at a time, and no batch is sent meanwhile. EndTxn waits until no batch is left. What
is not answered is sent again as it was. A client that knows transaction version 2 goes by the cluster's level, at which
it looks between two transactions.
Source: Kafka clients, TransactionManager.java, Sender.java.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from protocol.errors import ErrorCode
from protocol.messages.add_offsets_to_txn import AddOffsetsToTxnRequest
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnResponse
from protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from protocol.messages.init_producer_id import InitProducerIdRequest
from protocol.messages.message import Message
from protocol.messages.txn_offset_commit import TxnOffsetCommitRequest, TxnOffsetCommitResponse
from protocol.types import Offset, TopicPartition
from tests.simulation.common.network import Server
from tests.simulation.transactions.records import Written
from tests.simulation.transactions.sender import BACKOFF_MS, BACKOFF_MS_MAX, Batch, Entry, Identity, Sender
from tests.simulation.transactions.truth import Transaction

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation

Wait = Callable[[], bool] | int
"""What an application waits for: something to become true, or so many milliseconds."""

_FIRST_ADD_BACKOFF_MS = 20
_LEVEL_2 = 2
HELD_END_MS = 60_000


class State(Enum):
    UNINITIALIZED = auto()
    INITIALIZING = auto()
    READY = auto()
    IN_TRANSACTION = auto()
    COMMITTING = auto()
    ABORTING = auto()
    ABORTABLE_ERROR = auto()
    FATAL_ERROR = auto()


class MustAbort(Exception):
    """The transaction cannot be committed; the producer can go on once it is aborted."""


class Dead(Exception):
    """The producer can do nothing more."""


class GroupMember:
    """As whom offsets are committed."""

    def __init__(self, group_id: str, member_id: str = "", epoch: int = -1) -> None:
        self.group_id = group_id
        self.member_id = member_id
        self.epoch = epoch


class _Request:
    """To a coordinator, until it is answered for good."""

    def __init__(
        self,
        priority: int,
        server: Server,
        message: Message,
        version: int,
        done: Callable[[Any], None],
        fatal: frozenset[ErrorCode],
        abortable: frozenset[ErrorCode] = frozenset({ErrorCode.TRANSACTION_ABORTABLE}),
    ) -> None:
        self.priority = priority
        self.server = server
        self.message = message
        self.version = version
        self.done = done
        """Called with the answer when that is without an error."""
        self.fatal = fatal
        """Errors that end the producer. The retriable ones aside, there should be no others."""
        self.abortable = abortable
        """Errors that end the transaction."""
        self.is_end = isinstance(message, EndTxnRequest)
        self.attempts = 0


_INIT, _ADD, _END, _BUMP = range(4)
"""Priorities: the lowest goes first."""


class TransactionalProducer(Sender):
    def __init__(
        self, sim: Simulation, name: str, transactional_id: str, *, timeout_ms: int, knows_level_2: bool
    ) -> None:
        super().__init__(sim, name)
        self.transactional = transactional_id
        self.timeout_ms = timeout_ms
        self.state = State.UNINITIALIZED
        self.transaction: Transaction | None = None
        self.error: ErrorCode | None = None
        self.is_v2 = self._next_is_v2 = False
        self._knows_level_2 = knows_level_2
        self._older_version = sim.choose.choice((10, 11))
        """Of Produce, below transaction version 2."""
        self._started = False
        """The coordinator may know of the transaction."""
        self._must_bump = False
        self._new: dict[TopicPartition, None] = {}
        """Partitions that the coordinator has yet to hear of."""
        self._added: dict[TopicPartition, None] = {}
        self._pending: list[_Request] = []
        self._out = False
        """A request to a coordinator is out, or it sleeps before it sends one again."""
        self._offsets: dict[TopicPartition, Offset] = {}
        self._life: Generator[Wait, None, None] | None = None
        self._waiting: Callable[[], bool] | None = None
        self._running = False

    # -- the application ---------------------------------------------------------------------------------------

    def life(self) -> Generator[Wait, None, None]:
        """What the application does. Raises: Dead, which ends it."""
        raise NotImplementedError

    def start(self) -> None:
        self._life = self.life()
        self.later(0, self._step)

    def _step(self) -> None:
        """Let the application go on until it waits."""
        if self._running or not self.alive:
            return
        assert self._life is not None
        self._running, self._waiting = True, None
        try:
            while True:
                wait = next(self._life)
                if isinstance(wait, int):
                    self.later(wait, self._step)
                    break
                if not wait():
                    self._waiting = wait
                    break
        except StopIteration:
            self.end("closes")
        except Dead:
            self.end(f"ends: {self.error.name if self.error is not None else None}")
        finally:
            self._running = False
        if self.alive:
            self.soon_work()

    def end(self, why: str) -> None:
        self.sim.note(f"{self} {why}")
        self.crash()

    def work(self) -> None:
        if not self.alive:
            return
        if self._waiting is not None and self._waiting():
            self.later(0, self._step)
            self._waiting = None
        if self.state is State.FATAL_ERROR:
            return
        self.resolve_sequences()
        if not self._out:
            self._send_request()
        if not self._out:
            self.drain()

    # -- what the application calls ----------------------------------------------------------------------------

    def initialise(self) -> Generator[Wait, None, None]:
        self.state = State.INITIALIZING
        self._look_at_level(first=True)
        self._initialise(None)
        yield lambda: self.state is not State.INITIALIZING
        self._fail_with_error()

    def begin(self) -> Transaction:
        self._fail_with_error()
        assert self.state is State.READY
        self.state = State.IN_TRANSACTION
        if self.transaction is not None:
            self.transaction.superseded = True
        self.transaction = self.sim.new_transaction(self.name, self.transactional)
        return self.transaction

    def write(self, partition: TopicPartition, values: list[Written]) -> None:
        self._fail_with_error()
        assert self.transaction is not None and self.state is State.IN_TRANSACTION
        if self.is_v2:
            self._added[partition] = None
            self._started = True
        elif partition not in self._added:
            self._new[partition] = None
        self.put(partition, values, self.transaction)

    def send_offsets(
        self, offsets: dict[TopicPartition, Offset], member: GroupMember
    ) -> Generator[Wait, None, None]:
        self._fail_with_error()
        assert self.transaction is not None
        self.transaction.offsets.update(offsets)
        self._offsets = dict(offsets)
        if self.is_v2:
            self._started = True
            self._commit_offsets(member)
        else:
            self._add_offsets(member)
        yield lambda: not self._offsets or self._has_error
        self._fail_with_error()

    def commit(self) -> Generator[Wait, None, None]:
        self._fail_with_error()
        self.state = State.COMMITTING
        yield from self._end(commit=True)

    def abort(self) -> Generator[Wait, None, None]:
        if self.state is not State.ABORTABLE_ERROR:
            self._fail_with_error()
        self.state = State.ABORTING
        self._new.clear()
        self.drop_unsent()
        yield from self._end(commit=False)

    def _end(self, *, commit: bool) -> Generator[Wait, None, None]:
        assert self.identity is not None and self.transaction is not None
        if self._new:
            self._add_partitions()
        message = EndTxnRequest(
            transactional_id=self.transactional,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            committed=commit,
        )
        transaction = self.transaction

        def ended(outcome: Any) -> None:
            self._ended(outcome, commit=commit, transaction=transaction)

        version = 5 if self.is_v2 else 4
        abortable = frozenset({ErrorCode.TRANSACTION_ABORTABLE} if commit else ())
        fatal = _FENCED | _STATE | {ErrorCode.TRANSACTION_ABORTABLE}
        self._look_at_level()
        self._ask(_Request(_END, self.sim.transactions, message, version, ended, fatal, abortable))
        if self._must_bump:
            self._initialise(self.identity)
        self.soon_work()
        yield lambda: self.state in _SETTLED
        self._fail_with_error()

    @property
    def _has_error(self) -> bool:
        return self.state in (State.ABORTABLE_ERROR, State.FATAL_ERROR)

    def _fail_with_error(self) -> None:
        if self.state is State.FATAL_ERROR:
            raise Dead
        if self.state is State.ABORTABLE_ERROR:
            raise MustAbort

    # -- requests ----------------------------------------------------------------------------------------------

    def _ask(self, request: _Request) -> None:
        self._pending.append(request)
        self._pending.sort(key=lambda each: each.priority)
        self.soon_work()

    def _ask_again(self, request: _Request, backoff_ms: int) -> None:
        """After a sleep: nothing else is sent meanwhile."""

        def awake() -> None:
            self._out = False
            self.work()

        self._ask(request)
        self._out = True
        self.later(backoff_ms, awake)

    def _send_request(self) -> None:
        if self.state is State.ABORTABLE_ERROR:
            self.drop_unsent()
        if self._new and self.state is not State.ABORTABLE_ERROR:
            self._add_partitions()
        while self._pending:
            request = self._pending[0]
            if request.is_end and self.has_incomplete:
                return
            del self._pending[0]
            if self._has_error:
                continue
            if request.is_end and not self._started:
                self._not_started()
                continue
            self._send_now(request)
            return

    def _not_started(self) -> None:
        """The coordinator has never heard of the transaction: it is over without being told."""
        assert self.transaction is not None
        assert self.state is State.ABORTING or not self.transaction.records
        self.transaction.told = self.state is State.COMMITTING
        self._reset()

    def _send_now(self, request: _Request) -> None:
        transaction = self.transaction
        if request.is_end and isinstance(request.message, EndTxnRequest) and request.message.committed:
            assert transaction is not None
            transaction.asked_commit = True
        if request.is_end and self.sim.holds_end():
            self.connection(request.server).stall(self.sim.choose.randint(1_000, HELD_END_MS))
        self._out = True

        def answered(outcome: Any) -> None:
            self._out = False
            self._answered(request, outcome)
            self.work()

        self.request(request.server, request.message, request.version, answered, transaction)

    def _answered(self, request: _Request, outcome: Any) -> None:
        code = None if outcome is None else _code(outcome)
        if code is ErrorCode.NONE:
            request.done(outcome)
        elif code is None or code.retriable:
            is_first_add = isinstance(request.message, AddPartitionsToTxnRequest) and not self._added
            busy = code is ErrorCode.CONCURRENT_TRANSACTIONS
            request.attempts += 1
            backoff_ms = _FIRST_ADD_BACKOFF_MS if busy and is_first_add else BACKOFF_MS
            self._ask_again(request, min(backoff_ms << request.attempts, BACKOFF_MS_MAX))
        elif code in request.abortable:
            self._offsets.clear()
            self._abortable(code)
        else:
            self._fatal(code, request.fatal)

    def _initialise(self, current: Identity | None) -> None:
        message = InitProducerIdRequest(
            transactional_id=self.transactional,
            transaction_timeout_ms=self.timeout_ms,
            producer_id=-1 if current is None else current.producer_id,
            producer_epoch=-1 if current is None else current.epoch,
        )
        priority = _INIT if current is None else _BUMP

        def initialised(outcome: Any) -> None:
            self._become(Identity(outcome.producer_id, outcome.producer_epoch))
            if current is not None:
                self.entries.clear()
            self.state = State.READY
            self.error = None

        self._ask(_Request(priority, self.sim.transactions, message, 5, initialised, _FENCED))

    def _become(self, identity: Identity) -> None:
        self.sim.checker.became(self, identity)
        self.identity = identity

    def _add_partitions(self) -> None:
        assert self.identity is not None
        partitions = list(self._new)
        self._new.clear()
        topics: dict[str, list[int]] = {}
        for topic, number in partitions:
            topics.setdefault(topic, []).append(number)
        message = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional,
            v3_and_below_producer_id=self.identity.producer_id,
            v3_and_below_producer_epoch=self.identity.epoch,
            v3_and_below_topics=[
                AddPartitionsToTxnRequest.AddPartitionsToTxnTopic(name=topic, partitions=numbers)
                for topic, numbers in topics.items()
            ],
        )

        def added(_: Any) -> None:
            self._added.update(dict.fromkeys(partitions))
            self._started = True

        self._ask(_Request(_ADD, self.sim.transactions, message, 3, added, _FENCED | _STATE))

    def _add_offsets(self, member: GroupMember) -> None:
        assert self.identity is not None
        message = AddOffsetsToTxnRequest(
            transactional_id=self.transactional,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            group_id=member.group_id,
        )

        def added(_: Any) -> None:
            self._started = True
            self._commit_offsets(member)

        self._ask(_Request(_ADD, self.sim.transactions, message, 4, added, _FENCED | _STATE))

    def _commit_offsets(self, member: GroupMember) -> None:
        assert self.identity is not None and self.transaction is not None
        topics: dict[str, list[TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition]] = {}
        for (topic, number), offset in self._offsets.items():
            topics.setdefault(topic, []).append(
                TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition(
                    partition_index=number,
                    committed_offset=offset,
                    committed_metadata=str(self.transaction.number),
                )
            )
        message = TxnOffsetCommitRequest(
            transactional_id=self.transactional,
            group_id=member.group_id,
            producer_id=self.identity.producer_id,
            producer_epoch=self.identity.epoch,
            generation_id_or_member_epoch=member.epoch,
            member_id=member.member_id,
            topics=[
                TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic(name=name, partitions=partitions)
                for name, partitions in topics.items()
            ],
        )

        def committed(_: Any) -> None:
            self._offsets.clear()

        version = 5 if self.is_v2 else 4
        fatal = _FENCED | _STATE
        self._ask(_Request(_ADD, self.sim.groups, message, version, committed, fatal, _ABORTABLE_OFFSETS))

    def _ended(self, outcome: EndTxnResponse, *, commit: bool, transaction: Transaction) -> None:
        if outcome.producer_id != -1:
            self._become(Identity(outcome.producer_id, outcome.producer_epoch))
            self.entries.clear()
        transaction.told = commit
        transaction.is_answered = True
        self.sim.checker.told(transaction)
        self._reset()

    # -- what becomes of it ------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self.state = State.READY
        if self._must_bump:
            self.state = State.INITIALIZING
            if not self._pending:  # found out after the end was begun; Java's goes no further then
                self._initialise(self.identity)
        self.error = None
        self._must_bump = self._started = False
        self.is_v2 = self._next_is_v2
        self._new.clear()
        self._added.clear()

    def _look_at_level(self, *, first: bool = False) -> None:
        """See how the next transaction is to go.

        Java's goes on with the present one like that, too, in what it sends again. Then a commit that fails while the
        level falls ends without a new epoch, and what is late of it may get into the next transaction.
        """
        self._next_is_v2 = self._knows_level_2 and self.sim.feature.level >= _LEVEL_2
        if first:
            self.is_v2 = self._next_is_v2
        elif self._next_is_v2 and not self.is_v2:
            self._must_bump = True

    def _abortable(self, code: ErrorCode) -> None:
        if self.state in (State.ABORTING, State.FATAL_ERROR):
            return
        self.error = code
        self.state = State.ABORTABLE_ERROR
        self._pending.clear()

    def _fatal(self, code: ErrorCode, expected: frozenset[ErrorCode]) -> None:
        assert code in expected, f"{self}: unexpected {code!r} in {self.state}"
        self.error = code
        self.state = State.FATAL_ERROR

    def batch_failed(self, batch: Batch, code: ErrorCode) -> None:
        if code is ErrorCode.INVALID_PRODUCER_ID_MAPPING or code is ErrorCode.PRODUCER_FENCED:
            self._fatal(code, _FENCED | _STATE)
            return
        assert code.retriable or code in _ABORTABLE_BATCH, f"{self}: unexpected {code!r} for a batch"
        if not self.is_v2 and self.state not in (State.COMMITTING, State.ABORTING):
            self._must_bump = True
        self._abortable(code)

    def sequences_lost(self, entry: Entry) -> None:
        if not self.is_v2:
            self._must_bump = True
        self._abortable(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)

    # -- batches -----------------------------------------------------------------------------------------------

    def may_send(self, partition: TopicPartition) -> bool:
        return partition in self._added

    def produce_version(self) -> int:
        return 13 if self.is_v2 else self._older_version

    def transactional_id(self) -> str | None:
        return self.transactional


_SETTLED = (State.READY, State.ABORTABLE_ERROR, State.FATAL_ERROR)
_FENCED = frozenset({ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH})
_STATE = frozenset({ErrorCode.INVALID_TXN_STATE, ErrorCode.INVALID_PRODUCER_ID_MAPPING})
_ABORTABLE_OFFSETS = frozenset(
    {
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.TRANSACTION_ABORTABLE,
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.ILLEGAL_GENERATION,
    }
)
_ABORTABLE_BATCH = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.TRANSACTION_ABORTABLE,
    }
)


def _code(outcome: Any) -> ErrorCode:
    """Return the code of an answer, the first that is none of NONE where each partition has its own."""
    match outcome:
        case ErrorCode():
            return outcome
        case AddPartitionsToTxnResponse():
            topics = outcome.results_by_topic_v3_and_below
            codes = [row.partition_error_code for topic in topics for row in topic.results_by_partition]
        case TxnOffsetCommitResponse():
            codes = [row.error_code for topic in outcome.topics for row in topic.partitions]
        case _:
            codes = [outcome.error_code]
    return next((ErrorCode(code) for code in codes if code), ErrorCode.NONE)

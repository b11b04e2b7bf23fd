"""What must hold at every moment. A violation is an AssertionError that says what is wrong.

The checker sees what the transaction coordinator writes and what made it, each batch as it is written and each answer
as it leaves, and knows what clients asked for and were told. It shares no code with what it checks.

- Coordinator: states follow one another as they may; epochs only rise; a transaction is decided once, committed only
  because its producer asked for that, aborted by time only when its time is over; complete only when every partition
  has its marker for good.
- Producers: what a producer was told stays so; no two are ever the same id in the same epoch; there is always an epoch
  left to fence one with; who was fenced writes nothing more.
- Readers: at read_committed nothing is seen that is not decided to be committed; offsets likewise.
- Partitions: see `PartitionPicture`. In the end: see `outcome`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from coordinator.shard import Call, CoordinatorRecord, Effects, EndTxnMarkers, Event, TimerFired
from protocol.errors import ErrorCode
from protocol.messages.add_partitions_to_txn import AddPartitionsToTxnRequest
from protocol.messages.describe_transactions import DescribeTransactionsResponse
from protocol.messages.end_txn import EndTxnRequest, EndTxnResponse
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from protocol.messages.message import Message
from protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from protocol.messages.records_transaction import TransactionLogKey, TransactionLogValue
from protocol.types import Offset, TopicPartition
from tests.simulation.common.clock import Clock
from tests.simulation.common.network import Exchange
from tests.simulation.transactions.data_server import Produce
from tests.simulation.transactions.records import read_values
from tests.simulation.transactions.replica import Replica
from tests.simulation.transactions.sender import Identity
from tests.simulation.transactions.truth import Transaction

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation
    from tests.simulation.transactions.transactional_producer import TransactionalProducer

EMPTY, ONGOING, PREPARE_COMMIT, PREPARE_ABORT, COMPLETE_COMMIT, COMPLETE_ABORT = range(6)
_AT_REST = frozenset({EMPTY, COMPLETE_COMMIT, COMPLETE_ABORT})
_DECIDED = frozenset({PREPARE_COMMIT, PREPARE_ABORT})
_BEFORE = {
    EMPTY: _AT_REST,
    ONGOING: _AT_REST | {ONGOING},
    PREPARE_COMMIT: {ONGOING},
    PREPARE_ABORT: _AT_REST | {ONGOING},
    COMPLETE_COMMIT: {PREPARE_COMMIT},
    COMPLETE_ABORT: {PREPARE_ABORT},
}
_LABELS = ("Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort")
_EPOCH_MAX = 32_767
"""To fence with; nobody writes in it."""
_FIRST_VERSION_OF_BROKERS = 4
_FIRST_PRODUCE_WITH_EPOCHS = 12
_FIRST_LEVEL_WITH_EPOCHS = 2


_EXPIRED = TransactionLogValue(producer_id=-1, producer_epoch=-1, transaction_status=-1)
"""In the place of a tombstone."""


class Known(NamedTuple):
    """What the log says of a transactional id, and of whom its open transaction is."""

    offset: Offset
    value: TransactionLogValue
    owner: Transaction | None


class Checker:
    def __init__(self, sim: Simulation, clock: Clock) -> None:
        self.sim = sim
        self.clock = clock
        self.counts: dict[str, int] = {}
        """How often something came about: what never does proves nothing."""
        self.ids: dict[str, list[Known]] = {}
        """By transactional id: its records, oldest first."""
        self._fences: dict[str, Identity] = {}
        """By transactional id: who took it over last, and was told so."""
        self._told: dict[Identity, TransactionalProducer] = {}
        """Who goes on as whom."""
        self._offsets: dict[tuple[str, int], Offset] = {}

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    # -- the transaction coordinator ---------------------------------------------------------------------------

    def found(self, transactional_id: str, value: TransactionLogValue, offset: Offset) -> None:
        """An id is from before the run."""
        self.ids[transactional_id] = [Known(offset, value, None)]

    def wrote(self, record: CoordinatorRecord, offset: Offset, event: Event | None) -> None:
        """The coordinator has written a record, for this reason."""
        key, value = record
        assert isinstance(key, TransactionLogKey), record
        records = self.ids.setdefault(key.transactional_id, [])
        before = records[-1] if records else None
        if value is None:
            self._expired(key.transactional_id, before, event)
            records.append(Known(offset, _EXPIRED, None))
            return
        assert isinstance(value, TransactionLogValue)
        if before is None or before.value is _EXPIRED:
            assert value.transaction_status == EMPTY, f"{key}: begins with {value}"
        else:
            assert before.value.transaction_status in _BEFORE[value.transaction_status], (
                f"{key}: {value} after {before.value}"
            )
            self._only_rises(key.transactional_id, before.value, value)
        owner = None if before is None else before.owner
        match value.transaction_status:
            case 0:
                owner = None
            case 1:
                owner = self._joined(key.transactional_id, before, event)
            case 2 | 3:
                owner = self._decided(key.transactional_id, value, before, event)
            case 4 | 5:
                assert before is not None
                self._completed(key.transactional_id, before.value)
                owner = None
        records.append(Known(offset, value, owner))

    def _only_rises(self, name: str, before: TransactionLogValue, value: TransactionLogValue) -> None:
        if value.producer_id == before.producer_id:
            assert value.producer_epoch >= before.producer_epoch, f"{name}: {value} after {before}"
        else:
            assert value.producer_id > before.producer_id, f"{name}: {value} after {before}"
            self.count("producer id exhausted")

    def _expired(self, name: str, before: Known | None, event: Event | None) -> None:
        assert before is not None and isinstance(event, TimerFired), f"{name}: removed by {event}"
        assert before.value.transaction_status in _AT_REST, f"{name}: removed in {before.value}"
        unused_ms = self.clock.now_ms - before.value.transaction_last_update_timestamp_ms
        assert unused_ms >= self.sim.transactions.config.id_expiration_ms, (
            f"{name}: removed after {unused_ms} ms"
        )
        self.count("transactional id expired")

    def _joined(self, name: str, before: Known | None, event: Event | None) -> Transaction | None:
        assert before is not None
        assert isinstance(event, Call) and isinstance(event.request, AddPartitionsToTxnRequest), event
        asked = _asked_by(event.request)
        current = Identity(before.value.producer_id, before.value.producer_epoch)
        assert asked == current, f"{name}: {asked} adds partitions, {current} is who may"
        owner: Transaction | None = event.waiter.about  # type: ignore[attr-defined]
        assert owner is not None
        bumps = event.caller.version >= _FIRST_VERSION_OF_BROKERS and _ended_with_a_bump(before.value)
        if owner.superseded or owner.decided is not None:
            # Without a new epoch, a request that came late begins a transaction that its producer's next goes on with.
            assert not bumps, f"{owner} is added to once more"
            self.count("transaction begun by a late request")
            return before.owner
        assert not bumps or before.owner in (owner, None), f"{owner} joins {before.owner}"
        return owner

    def _decided(
        self, name: str, value: TransactionLogValue, before: Known | None, event: Event | None
    ) -> Transaction | None:
        assert before is not None
        commits = value.transaction_status == PREPARE_COMMIT
        owner = before.owner
        match event:
            case Call(request=EndTxnRequest() as request):
                asked = Identity(request.producer_id, request.producer_epoch)
                current = Identity(before.value.producer_id, before.value.producer_epoch)
                assert asked == current, f"{name}: {asked} ends a transaction of {current}"
                assert request.committed == commits, f"{name}: {request} leads to {value}"
                owner = event.waiter.about  # type: ignore[attr-defined]
                assert owner is not None
                if before.value.transaction_status == ONGOING and before.owner is not None:
                    assert before.owner is owner or event.caller.version < 5, f"{owner} ends {before.owner}"
            case Call(request=InitProducerIdRequest()):
                assert not commits, f"{name}: committed by a producer that takes over"
                self.count("aborted by who takes over")
            case TimerFired():
                assert not commits, f"{name}: committed by time"
                age_ms = self.clock.now_ms - before.value.transaction_start_timestamp_ms
                timeout_ms = before.value.transaction_timeout_ms
                assert age_ms >= timeout_ms, f"{name}: aborted after {age_ms} ms, has {timeout_ms}"
                self.count("aborted by time")
            case _:
                raise AssertionError(f"{name}: decided by {event}")
        if owner is not None:
            assert owner.decided is None or owner.decided == commits, f"{owner} is decided twice"
            owner.decided = commits
        self.count("committed" if commits else "aborted")
        return owner

    def _completed(self, name: str, prepared: TransactionLogValue) -> None:
        for topic in prepared.transaction_partitions or ():
            for number in topic.partition_ids:
                replica = self.sim.replicas[TopicPartition(topic.topic, number)]
                assert replica.picture.is_free_of(prepared.producer_id), (
                    f"{name}: complete, and {replica} has no marker for it: {prepared}"
                )

    def coordinator_lost(self, end_offset: Offset) -> None:
        """A new term begins with a log that ends here: what was written behind it never was."""
        for name, records in list(self.ids.items()):
            while records and records[-1].offset >= end_offset:
                lost = records.pop()
                if lost.value.transaction_status in _DECIDED and lost.owner is not None:
                    assert not lost.owner.is_answered, f"{lost.owner} was told, and its end is lost"
                    lost.owner.decided = None
                    self.count("decision lost before it was committed")
            if not records:
                del self.ids[name]

    def described(self, response: DescribeTransactionsResponse) -> None:
        """The coordinator is about to answer who asked for the state of ids."""
        for row in response.transaction_states:
            records = self.ids.get(row.transactional_id)
            known = _EXPIRED if not records else records[-1].value
            if row.error_code:
                assert row.error_code == ErrorCode.TRANSACTIONAL_ID_NOT_FOUND and known is _EXPIRED, (
                    f"{row}: {known}"
                )
                continue
            assert _LABELS[known.transaction_status] == row.transaction_state, f"{row}: {known}"
            assert (row.producer_id, row.producer_epoch) == (known.producer_id, known.producer_epoch)
            told = {(topic.topic, number) for topic in row.topics for number in topic.partitions}
            in_it = {
                (topic.topic, number)
                for topic in known.transaction_partitions or ()
                for number in topic.partition_ids
            }
            assert told == in_it or (told < in_it and known.transaction_status in _DECIDED), f"{row}: {known}"

    def coordinator_answered(self, exchange: Exchange, response: Message) -> None:
        """An answer leaves the transaction coordinator."""
        request = exchange.request
        code = getattr(response, "error_code", None)
        if code is not None:
            self.count(f"{type(request).__name__} {ErrorCode(code).name}")
        if isinstance(response, InitProducerIdResponse | EndTxnResponse) and code == ErrorCode.NONE:
            epoch = response.producer_epoch
            assert epoch < _EPOCH_MAX, f"{request}: {response}, and nobody can be fenced any more"
        if isinstance(response, InitProducerIdResponse) and code == ErrorCode.NONE:
            assert isinstance(request, InitProducerIdRequest) and request.transactional_id is not None
            name = request.transactional_id
            new = Identity(response.producer_id, response.producer_epoch)
            assert new >= self._fences.get(name, new), f"{name}: {new} after {self._fences[name]}"
            self._fences[name] = new

    def may_come_late(self, markers: EndTxnMarkers, partition: TopicPartition) -> bool:
        """Whether a marker that cannot be told from one of the next transaction can do no harm now."""
        known = self.ids[markers.transactional_id][-1].value
        heard = self.sim.replicas[partition].picture.coordinator_epochs.get(markers.producer_id, -1)
        underway = known.transaction_status in _DECIDED
        return heard > markers.coordinator_epoch or (
            underway
            and (known.producer_id, known.producer_epoch) == (markers.producer_id, markers.producer_epoch)
            and (known.transaction_status == PREPARE_COMMIT) == markers.committed
        )

    def sent(self, markers: EndTxnMarkers) -> None:
        """Markers leave the coordinator: their decision is committed."""
        known = self.ids[markers.transactional_id][-1]
        assert known.value.transaction_status in _DECIDED, f"{markers} are sent in {known}"
        assert known.offset < self.sim.transactions.replica.high_watermark, f"{markers} are sent too early"

    # -- producers ---------------------------------------------------------------------------------------------

    def became(self, producer: TransactionalProducer, identity: Identity) -> None:
        """A producer learns as whom it goes on."""
        before = producer.identity
        assert before is None or identity >= before, f"{producer} was {before}, becomes {identity}"
        holder = self._told.setdefault(identity, producer)
        assert holder is producer, f"{producer} becomes {identity}, as {holder} did"

    def appended(self, replica: Replica, request: Produce, exchange: Exchange) -> None:
        """A producer's batch was written."""
        if request.transactional_id is None:
            return
        writer = Identity(request.producer_id, request.producer_epoch)
        fence = self._fences.get(request.transactional_id, writer)
        assert writer >= fence, f"{replica}: {request} of {exchange.about}, fenced by {fence}"
        if exchange.zombie:
            self.count("zombie wrote")

    def gets_into_the_next(self, replica: Replica, request: Produce, exchange: Exchange) -> bool:
        """Whether a batch that was given up, with its transaction, cannot be told from one of the next one here."""
        records = self.ids.get(request.transactional_id or "")
        if not records or not exchange.about.superseded or exchange.version >= _FIRST_PRODUCE_WITH_EPOCHS:
            return False
        known = records[-1]
        current = Identity(known.value.producer_id, known.value.producer_epoch)
        if known.owner is exchange.about or current != (request.producer_id, request.producer_epoch):
            return False
        if any(value in exchange.about.known for _, value in read_values(request.batch)):
            return False  # it was sent again: the sequence tells
        if request.producer_id in replica.picture.open:
            return True
        topic, number = replica.topic_partition
        return known.value.transaction_status == ONGOING and any(
            each.topic == topic and number in each.partition_ids
            for each in known.value.transaction_partitions or ()
        )

    def told(self, transaction: Transaction) -> None:
        """A producer was told how its transaction ended."""
        assert transaction.decided in (transaction.told, None if not transaction.told else True), (
            f"{transaction} was told {transaction.told}, decided is {transaction.decided}"
        )
        if transaction.told:
            missing = {
                value for values in transaction.records.values() for value in values
            } - transaction.known
            assert not missing, f"{transaction} is committed without {missing} acknowledged"

    # -- readers -----------------------------------------------------------------------------------------------

    def read_committed(self, partition: TopicPartition, offset: Offset, transaction: Transaction) -> None:
        """A consumer of committed records is shown one."""
        if transaction.transactional_id is None:
            return
        where = f"{partition} at {offset}: a record of {transaction}"
        assert transaction.asked_commit, f"{where}, which nobody asked to commit"
        assert transaction.decided, f"{where}, decided is {transaction.decided}"
        assert transaction.told is not False, f"{where}, whose producer was told that it is aborted"

    def group_decided(self, event: Event, effects: Effects) -> None:
        """The group coordinator answers."""
        if not isinstance(event, Call) or not isinstance(event.request, OffsetFetchRequest):
            return
        for _, response in effects.answers:
            if isinstance(response, OffsetFetchResponse):
                for group in response.groups:
                    for topic in group.topics:
                        for row in topic.partitions:
                            self._offset_read(topic.name, row)

    def _offset_read(self, topic: str, row: Any) -> None:
        if row.error_code:
            self.count(f"OffsetFetchRequest {ErrorCode(row.error_code).name}")
            return
        if row.committed_offset < 0:
            return
        transaction = self.sim.all_transactions[int(row.metadata)]
        where = f"{topic}-{row.partition_index}: offset {row.committed_offset} of {transaction}"
        assert transaction.asked_commit and transaction.decided, f"{where} is shown, and is not committed"
        key = (topic, row.partition_index)
        assert row.committed_offset >= self._offsets.get(key, 0), f"{where} after {self._offsets[key]}"
        self._offsets[key] = row.committed_offset


def _ended_with_a_bump(value: TransactionLogValue) -> bool:
    return value.client_transaction_version >= _FIRST_LEVEL_WITH_EPOCHS


def _asked_by(request: AddPartitionsToTxnRequest) -> Identity:
    if request.transactions:
        (asked,) = request.transactions
        return Identity(asked.producer_id, asked.producer_epoch)
    return Identity(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch)

"""What must hold in the end, when nothing is on its way any more: all or nothing, each once, in order, nothing left."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from coordinator.group_shard import GroupShard
from coordinator.transaction_shard import TransactionShard
from protocol.types import TopicPartition
from replication.partition import READ_COMMITTED
from tests.simulation.transactions.copier import GROUP, INPUT, OUTPUT
from tests.simulation.transactions.records import Written

if TYPE_CHECKING:
    from tests.simulation.transactions.simulation import Simulation
    from tests.simulation.transactions.truth import Transaction

_Placed: TypeAlias = tuple[TopicPartition, Written]


def unsettled(sim: Simulation) -> str | None:
    """Return what is still under way: a transaction, a marker, an offset, a copy; None when all is done."""
    for partition, replica in sim.replicas.items():
        if not replica.leads:
            return f"{partition} is away"
        leader = replica.partition
        if not leader.last_stable_offset == leader.high_watermark == replica.log.log_end_offset:
            return (
                f"{partition}: last stable offset {leader.last_stable_offset}, high watermark "
                f"{leader.high_watermark}, end {replica.log.log_end_offset}, open {replica.picture.open}"
            )
    transactions, groups = sim.transactions.runtime, sim.groups.runtime
    if transactions is None or groups is None:
        return "a coordinator is away"
    assert isinstance(transactions.shard, TransactionShard) and isinstance(groups.shard, GroupShard)
    for name, transaction in transactions.shard.state.transactions.items():
        if transaction.state.value in (1, 2, 3):
            return f"{name} is {transaction}"
    if groups.shard.state.offsets.has_pending(GROUP):
        return "offsets are pending"
    return _not_copied(sim)


def _not_copied(sim: Simulation) -> str | None:
    """Return what the copiers have yet to copy."""
    for number in range(sim.catalog.partition_count(INPUT)):
        source = _committed(sim, TopicPartition(INPUT, number))
        copied = _committed(sim, TopicPartition(OUTPUT, number))
        if len(copied) < len(source):
            return f"{INPUT}-{number}: {len(copied)} of {len(source)} copied"
    return None


def _committed(sim: Simulation, partition: TopicPartition) -> list[tuple[int, Written]]:
    reader = sim.readers[partition, READ_COMMITTED]
    reader.poll()
    return reader.seen


def check_outcome(sim: Simulation) -> None:
    for reader in sim.readers.values():
        reader.poll()
        reader.check_against_the_log()
    _all_or_nothing(sim)
    _exactly_once(sim)
    sim.transactions.check_replay()
    sim.groups.check_replay()


def _all_or_nothing(sim: Simulation) -> None:
    visible: dict[int, set[_Placed]] = {}
    written: dict[int, set[_Placed]] = {}
    for (partition, isolation), reader in sim.readers.items():
        found = visible if isolation == READ_COMMITTED else written
        for _, value in reader.seen:
            found.setdefault(value.transaction, set()).add((partition, value))
    for transaction in sim.all_transactions:
        seen = visible.get(transaction.number, set())
        sent = {(partition, value) for partition, values in transaction.records.items() for value in values}
        assert seen <= sent
        if transaction.transactional_id is None:
            lost = transaction.known - {value for _, value in seen}
            assert not lost, f"{transaction}: acknowledged and lost: {sorted(lost)[:5]}"
            continue
        assert written.get(transaction.number, set()) >= seen
        _as_told(transaction, seen, sent)


def _as_told(transaction: Transaction, seen: set[_Placed], sent: set[_Placed]) -> None:
    if transaction.told is True or (transaction.decided and seen):
        missing = sent - seen
        assert not missing, f"{transaction} is torn, told {transaction.told}: without {missing}"
    elif transaction.told is False or not transaction.decided:
        assert not seen, f"{transaction} was not committed, and is read"
    if transaction.decided and transaction.offsets and transaction.records:
        assert seen, f"{transaction}: its offsets are committed, its records are not"


def _exactly_once(sim: Simulation) -> None:
    for number in range(sim.catalog.partition_count(INPUT)):
        source = [offset for offset, _ in _committed(sim, TopicPartition(INPUT, number))]
        copied = [value.source for _, value in _committed(sim, TopicPartition(OUTPUT, number))]
        assert copied == source, f"{INPUT}-{number}: {_difference(source, copied)}"


def _difference(source: list[int], copied: list[int]) -> str:
    twice = sorted({offset for offset in copied if copied.count(offset) > 1})
    missing = sorted(set(source) - set(copied))
    stray = sorted(set(copied) - set(source))
    return f"copied twice {twice}, not copied {missing}, not to be copied {stray}, or not in order"

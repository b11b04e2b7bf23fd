"""Goal: whatever goes wrong, transactions are all or nothing, each record is there once, and nothing hangs.

Method: 2,000 runs, each made from its seed alone: producers, copiers, consumers, coordinators, partitions, network and
faults; checks.py says what holds at every moment, outcome.py what holds in the end. A failure prints the command that
replays it. For more: `python -m tests.simulation.transactions --seeds N --start S`.
"""

import pytest

from tests.simulation.transactions.simulation import run

RUNS = 2000
_AT_ONCE = 50


@pytest.mark.parametrize("start", range(1, RUNS + 1, _AT_ONCE))
def test_runs(start: int) -> None:
    for seed in range(start, start + _AT_ONCE):
        run(seed)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(100_000, 120_000, 1_000))
def test_many_more_runs(start: int) -> None:
    for seed in range(start, start + 1_000):
        run(seed)


def test_the_runs_do_everything() -> None:
    """What never comes about proves nothing."""
    counts: set[str] = set()
    for seed in range(1, 201):
        counts |= run(seed).checker.counts.keys()
    missing = EXPECTED - counts
    assert not missing


EXPECTED = {
    "InitProducerIdRequest NONE",
    "InitProducerIdRequest CONCURRENT_TRANSACTIONS",
    "InitProducerIdRequest COORDINATOR_LOAD_IN_PROGRESS",
    "AddOffsetsToTxnRequest NONE",
    "AddOffsetsToTxnRequest CONCURRENT_TRANSACTIONS",
    "EndTxnRequest NONE",
    "EndTxnRequest CONCURRENT_TRANSACTIONS",
    "EndTxnRequest PRODUCER_FENCED",
    "EndTxnRequest INVALID_TXN_STATE",
    "OffsetFetchRequest UNSTABLE_OFFSET_COMMIT",
    "aborted by time",
    "aborted by who takes over",
    "batch expired",
    "committed",
    "copier must abort: UNKNOWN_MEMBER_ID",
    "copier thrown out of the group",
    "late marker",
    "late marker that nothing protects from",
    "late EndTxnRequest",
    "late EndTxnRequest that nothing protects from",
    "late InitProducerIdRequest",
    "must abort: INVALID_PRODUCER_EPOCH",
    "must abort: OUT_OF_ORDER_SEQUENCE_NUMBER",
    "must abort: REQUEST_TIMED_OUT",
    "producer id exhausted",
    "transactional id expired",
    "zombie wrote",
}

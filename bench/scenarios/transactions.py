"""S12: what transactions cost, in rate and in broker CPU.

    python -m bench run S12 --rounds 10

Each round, for each target: Kafka's perf client at full speed with 1 KB records, once plain (idempotent, acks=all, its
defaults) and once in transactions of 100 ms, in an order that changes with the round; what is lost is taken within such
a pair, while figures of two runs alone spread by more than the loss. Then transactions of 1 ms at 2,000 records/s, a
few small records in each: broker CPU for each of them, which hardly depends on the client. How many there were is
counted by their markers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from bench.clients import perf_client
from bench.clients.perf_client import Load
from bench.clients.wire import Connection, create_topic, delete_topic, end_offset
from bench.scenarios.base import Metric, Metrics, OneByOne
from bench.targets.registry import Running
from logd.load.process_cost import cpu_seconds

_RECORD_BYTES = 1024
_TRANSACTION_MS = 100
_SMALL_PER_SECOND = 2_000


class _Run(NamedTuple):
    records_per_s: float
    cpu_s: float
    transactions: int


class Transactions(OneByOne):
    name = "S12"
    title = "transactions that commit every 100 ms, 1 KB records, full speed"
    targets = ("kafka", "logd")
    is_quick = False
    writes = False  # each of its runs sees to that itself
    metrics: ClassVar[Mapping[str, Metric]] = {
        "lost_percent": Metric("rate lost", "%", 1, ()),
        "plain_records_per_s": Metric("plain", "records/s", 0),
        "records_per_s": Metric("in transactions", "records/s", 0),
        "cpu_lost_percent": Metric("CPU more per record", "%", 1, ()),
        "cpu_us_per_transaction": Metric("broker CPU of a small transaction", "µs", 0),
    }

    @classmethod
    def missing(cls) -> str | None:
        return perf_client.missing()

    def settings(self) -> Mapping[str, object]:
        return {
            "records": self._records(),
            "record_bytes": _RECORD_BYTES,
            "transaction_ms": _TRANSACTION_MS,
            "client": "kafka-producer-perf-test, defaults",
        }

    def measure(self, name: str, target: Running, round_number: int) -> Metrics:
        if round_number <= 0:  # producing is warm already, what commits is not
            many = _small_load(5 * self._small_records())
            self._run(target, f"s12-warm-up-{round_number}", many)
            return {}
        plain_load = Load(self._records(), _RECORD_BYTES, {})
        loads = {"plain": plain_load, "transactions": plain_load._replace(transaction_ms=_TRANSACTION_MS)}
        runs = {}
        for kind in sorted(loads, reverse=round_number % 2 == 0):
            runs[kind] = self._run(target, f"s12-{kind}-{round_number}", loads[kind])
        small = self._run(target, f"s12-small-{round_number}", _small_load(self._small_records()))
        plain, transactional = runs["plain"], runs["transactions"]
        return {
            "lost_percent": 100 * (1 - transactional.records_per_s / plain.records_per_s),
            "plain_records_per_s": plain.records_per_s,
            "records_per_s": transactional.records_per_s,
            "cpu_lost_percent": 100 * (transactional.cpu_s / plain.cpu_s - 1),
            "cpu_us_per_transaction": small.cpu_s / small.transactions * 1e6,
            "transactions": float(transactional.transactions),
        }

    def _run(self, target: Running, topic: str, load: Load) -> _Run:
        self._fill_memory()
        connection = Connection(target.bootstrap)
        create_topic(connection, topic, {"file.delete.delay.ms": "1000"})
        before = cpu_seconds(target.pid)
        outcome = perf_client.produce(target.bootstrap, topic, load)
        used = cpu_seconds(target.pid) - before
        transactions = end_offset(connection, topic) - load.records
        if load.transaction_ms and transactions < 1:
            raise RuntimeError(f"no transaction ended in {topic}")
        delete_topic(connection, topic)
        connection.close()
        return _Run(outcome.records_per_s, used, transactions)

    def _records(self) -> int:
        return 50_000 if self.options.quick else 400_000

    def _small_records(self) -> int:
        return 1_000 if self.options.quick else 8_000


def _small_load(records: int) -> Load:
    return Load(records, 100, {}, per_second=_SMALL_PER_SECOND, transaction_ms=1)

"""The scenarios by the names that docs/BENCHMARKS.md uses."""

from __future__ import annotations

from bench.scenarios.base import Scenario
from bench.scenarios.catch_up import CatchUp
from bench.scenarios.cold_reads import ColdReads
from bench.scenarios.compaction import Compaction, CompactionOfSmallRecords
from bench.scenarios.confluent import ConfluentKafka
from bench.scenarios.consume import EndToEnd, FetchFromCache
from bench.scenarios.fan_out import OneToFive, OneToOne
from bench.scenarios.group_start import GroupStart
from bench.scenarios.idle_connections import IdleConnections
from bench.scenarios.idle_groups import IdleGroups
from bench.scenarios.kafka_tools import ConsumerPerf, EndToEndLatency
from bench.scenarios.latency import SynchronousProduce
from bench.scenarios.memory import Memory
from bench.scenarios.order_services import OrderServices
from bench.scenarios.produce import DefaultBatches, LargeBatches, SmallRecords
from bench.scenarios.request_rate import RequestRate
from bench.scenarios.startup import Startup
from bench.scenarios.transactions import Transactions
from bench.scenarios.wire_produce import (
    Compressed,
    EightProducers,
    ManyPartitions,
    ManyProducers,
    OnePartition,
    OneProducer,
    Paced,
)

SCENARIOS: dict[str, type[Scenario]] = {
    scenario.name: scenario
    for scenario in (
        LargeBatches,
        DefaultBatches,
        SmallRecords,
        SynchronousProduce,
        FetchFromCache,
        EndToEnd,
        RequestRate,
        Startup,
        Memory,
        GroupStart,
        IdleConnections,
        Transactions,
        Compaction,
        CompactionOfSmallRecords,
        ColdReads,
        IdleGroups,
        OrderServices,
        OneProducer,
        EightProducers,
        ManyProducers,
        OnePartition,
        ManyPartitions,
        Compressed,
        Paced,
        OneToOne,
        OneToFive,
        CatchUp,
        ConsumerPerf,
        EndToEndLatency,
        ConfluentKafka,
    )
}

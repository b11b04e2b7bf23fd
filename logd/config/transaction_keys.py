"""The properties of the transaction coordinator, and the settings that they make.

Names, meanings and, but for `differs`, defaults are those of Kafka 4.3 TransactionLogConfig.java and
TransactionStateManagerConfig.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from logd.config.key import ConfigKey, Value

if TYPE_CHECKING:
    from coordinator.transaction_config import TransactionConfig

TRANSACTION_KEYS: tuple[ConfigKey, ...] = (
    ConfigKey(
        "transaction.max.timeout.ms",
        "int",
        900_000,
        "Longest time-out that a transactional producer may ask for, in milliseconds.",
        low=1,
    ),
    ConfigKey(
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "int",
        10_000,
        "How long a transaction may be open after its time is over, in milliseconds; it is mostly found at once.",
        low=1,
    ),
    ConfigKey(
        "transactional.id.expiration.ms",
        "int",
        604_800_000,
        "A transactional id is forgotten when nothing was heard of it for so long, in milliseconds.",
        low=1,
    ),
    ConfigKey(
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        "int",
        3_600_000,
        "How often transactional ids are looked for that have expired, in milliseconds.",
        low=1,
    ),
    ConfigKey(
        "transaction.state.log.num.partitions",
        "int",
        50,
        "Partitions of the topic of transactions. Must not change once the topic exists.",
        low=1,
    ),
    ConfigKey(
        "transaction.state.log.replication.factor",
        "short",
        1,
        "Replicas of the topic of transactions.",
        low=1,
        kafka_default=3,
        differs="one node has one replica to give",
    ),
    ConfigKey(
        "transaction.state.log.min.isr",
        "int",
        1,
        "Replicas that must have what is written to the topic of transactions.",
        low=1,
        kafka_default=2,
        differs="one node has one replica to give",
    ),
    ConfigKey(
        "transaction.state.log.segment.bytes",
        "int",
        104_857_600,
        "Segment size of the topic of transactions.",
        low=1 << 20,  # as of segment.bytes: the topic could not be created
    ),
)


def transaction_values(given: Mapping[str, Value]) -> dict[str, Value]:
    """Return every property of transactions with its value: what was `given`, else the default."""
    return {key.name: given.get(key.name, key.default) for key in TRANSACTION_KEYS}


def transaction_config(given: Mapping[str, Value]) -> TransactionConfig:
    """Return the coordinator's settings; `given` has what was set."""
    from coordinator.transaction_config import TransactionConfig  # noqa: PLC0415 - most starts do not need it

    values = transaction_values(given)

    def number(name: str) -> int:
        return cast(int, values[name])

    return TransactionConfig(
        timeout_ms_max=number("transaction.max.timeout.ms"),
        id_expiration_ms=number("transactional.id.expiration.ms"),
        abort_timed_out_interval_ms=number("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
        remove_expired_interval_ms=number("transaction.remove.expired.transaction.cleanup.interval.ms"),
    )

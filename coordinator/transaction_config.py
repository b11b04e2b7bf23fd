"""The settings of the transaction coordinator: plain values, made from the broker's properties.

Each is the property of the same name in Kafka's TransactionStateManagerConfig.java; times in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionConfig:
    """Defaults are Kafka's."""

    timeout_ms_max: int = 15 * 60_000
    """transaction.max.timeout.ms: what a producer may ask for at most."""
    id_expiration_ms: int = 7 * 24 * 3_600_000
    """transactional.id.expiration.ms: an id without a transaction is forgotten when it was not used for so long."""
    abort_timed_out_interval_ms: int = 10_000
    """transaction.abort.timed.out.transaction.cleanup.interval.ms"""
    remove_expired_interval_ms: int = 3_600_000
    """transaction.remove.expired.transaction.cleanup.interval.ms"""

"""Transactional producers of confluent-kafka that wait for a coordinator which has just started."""

from __future__ import annotations

from confluent_kafka import Producer

from tests.support.patience import PATIENCE_S, insist, is_retriable


def init_transactions(producer: Producer) -> None:
    """Take the transactional id over; ask again where the client gives up on a coordinator that still loads."""
    insist(lambda: producer.init_transactions(PATIENCE_S), is_retriable)

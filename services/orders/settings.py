"""The settings of the order services: one set for all, so that one file can configure an installation."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from services.runtime.settings import RuntimeSettings

Positive = Annotated[int, Meta(ge=1)]


class Settings(RuntimeSettings, frozen=True, forbid_unknown_fields=True):
    # Of every topic, when topics are created: how many instances of a service can share its work. Each transaction ends
    # with a marker in each partition that it wrote to: with 6, an order costs 12 ms of CPU in all, with 3 it costs 8.
    partitions: Positive = 3
    replication: Positive = 1
    check_window_ms: Positive = 300_000  # for the three checks of an order
    fraud_window_ms: Positive = 3_600_000
    fraud_limit: Decimal = Decimal(2000)
    card_window_ms: Positive = 300_000
    join_window_ms: Positive = 3_600_000  # between a confirmed order and its payment
    # Of a half that waits for the other, and of a pair that waits for its customer; then the mail is given up.
    unjoined_retention_ms: Positive = 86_400_000
    ccy: str = "EUR"
    get_timeout_ms: Positive = 10_000  # of a GET that does not say
    advertised_url: str = ""  # where other instances reach this one; empty: where it listens
    smtp: str = ""  # host:port that outbox mails are sent through

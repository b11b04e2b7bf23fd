"""The topics: names, kinds, and who writes them.

All topics that a service reads together have the same number of partitions and are partitioned by murmur2 of the key,
Kafka's own default, so that equal keys meet in one instance.

Only the owner writes a topic; into a command topic anybody may. The rekeyed topics and changelogs belong to the
service that they are named after.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

ORDER_COMMANDS = "order-commands"
ORDERS = "orders"
ORDER_VALIDATIONS = "order-validations"
PAYMENTS = "payments"
CUSTOMERS = "customers"
WAREHOUSE_INVENTORY = "warehouse-inventory"
GOODS_RECEIVED = "goods-received"
AUTHORIZATION_ATTEMPTS = "authorization-attempts"
POSSIBLE_FRAUD = "possible-fraud"
OUTBOX_EMAILS = "outbox-emails"
PLATINUM_EMAILS = "platinum-emails"
DEAD_LETTERS = "dead-letters"
ORDERS_INSTANCES = "orders-instances"
# Rekeyed.
ORDERS_BY_CUSTOMER = "fraud-orders-by-customer"
PRODUCT_EVENTS = "inventory-product-events"
PAYMENTS_BY_ORDER = "orders-payments-by-order"


class Kind(Enum):
    """How long records stay."""

    EVENTS = "delete"  # for the broker's default time
    HISTORY = "forever"  # the events that everything else can be rebuilt from
    LATEST = "compact"  # the last one of each key


class Topic(NamedTuple):
    name: str
    key: str
    kind: Kind
    writer: str
    partitions: int | None = None  # None: as many as all that are read together


TABLE = (
    Topic(ORDER_COMMANDS, "order id", Kind.HISTORY, "anybody"),
    Topic(ORDERS, "order id", Kind.HISTORY, "orders"),
    Topic(ORDER_VALIDATIONS, "order id", Kind.EVENTS, "details, fraud, inventory: each its own check"),
    Topic(PAYMENTS, "payment id", Kind.EVENTS, "payment"),
    Topic(CUSTOMERS, "customer id", Kind.LATEST, "customer_register"),
    Topic(WAREHOUSE_INVENTORY, "product", Kind.LATEST, "inventory"),
    Topic(GOODS_RECEIVED, "product", Kind.HISTORY, "anybody"),
    Topic(AUTHORIZATION_ATTEMPTS, "card", Kind.EVENTS, "card feed"),
    Topic(POSSIBLE_FRAUD, "card", Kind.EVENTS, "card_fraud"),
    Topic(OUTBOX_EMAILS, "order id", Kind.EVENTS, "email"),
    Topic(PLATINUM_EMAILS, "order id", Kind.EVENTS, "email"),
    Topic(DEAD_LETTERS, "none", Kind.EVENTS, "any service"),
    Topic(ORDERS_INSTANCES, "instance", Kind.LATEST, "orders", 1),
    Topic(ORDERS_BY_CUSTOMER, "customer id", Kind.EVENTS, "fraud"),
    Topic(PRODUCT_EVENTS, "product", Kind.EVENTS, "inventory"),
    Topic(PAYMENTS_BY_ORDER, "order id", Kind.EVENTS, "orders"),
)

# Applications: the group id, and the prefix of what is private to them.
STATEFUL = ("orders", "fraud", "inventory", "email", "card-fraud")
APPLICATIONS = (*STATEFUL, "details", "payment")


def changelog(application: str) -> str:
    """The topic that an application's state can be rebuilt from: the last value of each key."""
    return f"{application}-changelog"


def retries(application: str) -> str:
    """Dead letters that an application is to try again."""
    return f"{application}-retries"


def all_topics() -> list[Topic]:
    private = [Topic(changelog(name), "state key", Kind.LATEST, name) for name in STATEFUL]
    retried = [Topic(retries(name), "as it was", Kind.EVENTS, "dead_letters") for name in APPLICATIONS]
    return [*TABLE, *private, *retried]

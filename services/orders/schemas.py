"""What the topics hold: the declared schema of every value. Field names in JSON are camelCase.

An unknown field in an event is passed over, so that writers may add fields before readers know them. A request of a
client may hold none: a misspelt field must not look like one that was left out.

Money is a decimal with at most two places, never a float: limits are exact.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

# Part of a path: `.` and `..` would be taken for folders. In Python `$` holds before a line's end, too.
Id: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=128, pattern=r"^(?!\.{1,2}$)[A-Za-z0-9._~-]+$(?!\n)")
]
Text: TypeAlias = Annotated[str, Meta(max_length=16_384)]  # so that all of a customer fits into a mail
Timestamp: TypeAlias = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]  # ms since 1970, to the year 9999
Count: TypeAlias = Annotated[int, Meta(ge=-(2**31), lt=2**31)]


class OrderState(Enum):
    """CREATED → VALIDATED or FAILED; VALIDATED → CONFIRMED → COMPLETED. Each at most once."""

    CREATED = "CREATED"
    VALIDATED = "VALIDATED"
    FAILED = "FAILED"
    CONFIRMED = "CONFIRMED"
    COMPLETED = "COMPLETED"


class CheckType(Enum):
    FRAUD_CHECK = "FRAUD_CHECK"
    INVENTORY_CHECK = "INVENTORY_CHECK"
    ORDER_DETAILS_CHECK = "ORDER_DETAILS_CHECK"


class Result(Enum):
    PASS = "PASS"
    FAIL = "FAIL"


class Event(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A value of a topic."""


class OrderRequest(Event, frozen=True, forbid_unknown_fields=True):
    """What a shopper posts. Whether it makes sense is for the checks to say; here only the types count."""

    id: Id
    customer_id: Annotated[str, Meta(max_length=128)]
    product: Annotated[str, Meta(max_length=128)]
    quantity: Count
    price: Decimal
    created_at: Timestamp | None = None  # the order's own time; when left out, that of its receipt


class CreateOrder(Event, frozen=True, tag_field="type", tag="CREATE"):
    """The request as it came, and when."""

    received_at: Timestamp
    order: OrderRequest


class ShipOrder(Event, frozen=True, tag_field="type", tag="SHIP"):
    """The goods of a confirmed order have left the warehouse."""

    id: Id
    received_at: Timestamp


OrderCommand: TypeAlias = CreateOrder | ShipOrder


class Order(Event, frozen=True):
    id: str
    customer_id: str
    state: OrderState
    product: str
    quantity: int
    price: Decimal
    created_at: int
    version: int
    reasons: tuple[str, ...] = ()  # of FAILED: one for each check that failed or is missing
    corrects: int | None = None  # the version that this one puts right; set, it is no transition

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price


class OrderValidation(Event, frozen=True):
    order_id: str
    check_type: CheckType
    result: Result
    reason: str = ""


class Payment(Event, frozen=True):
    id: str
    order_id: str
    ccy: str
    amount: Decimal


class Customer(Event, frozen=True):
    id: Id
    source: Text
    version: Annotated[int, Meta(ge=1)]
    first_name: Text
    last_name: Text
    email: Text
    address: Text
    level: Text  # PLATINUM, GOLD, SILVER, BRONZE; a level that nobody knows yet is no error


class StockCount(Event, frozen=True):
    product: str
    count: int


class GoodsReceived(Event, frozen=True):
    """A delivery to the warehouse. `id` is the delivery note's."""

    id: Id
    product: Annotated[str, Meta(min_length=1, max_length=128)]
    quantity: Annotated[int, Meta(ge=1, lt=2**31)]


class OrderedProduct(Event, frozen=True, tag_field="type", tag="ORDER"):
    """An order, rekeyed to its product."""

    order: Order


class ReceivedProduct(Event, frozen=True, tag_field="type", tag="GOODS"):
    """Goods received, in one topic with the orders: their order relative to each other is part of the log."""

    goods: GoodsReceived


ProductEvent: TypeAlias = OrderedProduct | ReceivedProduct


class AuthorizationAttempt(Event, frozen=True):
    card: Id
    at: Timestamp
    amount: Decimal


class PossibleFraud(Event, frozen=True):
    card: str
    window_start: int
    attempts: int


class Mail(Event, frozen=True):
    """`message_id` is made from the order's id, so that whoever receives a mail twice can tell."""

    message_id: str
    order_id: str
    payment_id: str
    to: str
    level: str
    subject: str
    body: str


class InstanceClaim(Event, frozen=True):
    """Which partitions an instance of the Orders Service has, and where it can be reached."""

    url: str
    partitions: tuple[int, ...]


class DeadLetter(Event, frozen=True):
    """What a service could not read, byte for byte, where it was, and why.

    Of what is too large for that the place alone is kept (`is_whole` is false): it can be read there.
    """

    service: str
    topic: str
    partition: Annotated[int, Meta(ge=0, lt=2**31)]
    offset: int
    timestamp: int
    reason: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    is_whole: bool = True

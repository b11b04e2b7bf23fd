"""An order from its command to its end: creation, aggregation of checks, confirmation, shipping, expiry.

Each rule takes what is known of an order and one event, and answers what is to be known and published, or why nothing
is. The caller keeps one record per order id and sees the events of an id in the order of the log, so that of several
commands for one id the first in the log wins, whoever wrote them.

Transitions:  CREATED → VALIDATED   three distinct checks passed
              CREATED → FAILED      a check failed, or checks are missing at the deadline
              VALIDATED → CONFIRMED paid
              CONFIRMED → COMPLETED shipped
Invariant: version rises by one with each published event; no transition happens twice.

Rewinding (ch. 7 of the source): a command that is met again at the offset that created the order is computed anew. If
the result differs, because the code has been corrected since, the order is published once more, with `corrects` set
and its state unchanged. Replaying without a difference publishes nothing, so inputs may be rewound at any time.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from services.orders.schemas import (
    CheckType,
    CreateOrder,
    Order,
    OrderCommand,
    OrderRequest,
    OrderState,
    OrderValidation,
    Payment,
    Result,
    ShipOrder,
)

_CHECKS_NEEDED = frozenset(check.value for check in CheckType)


class OrderRecord(Struct, frozen=True, rename="camel"):
    """What the Orders Service keeps of an order."""

    order: Order
    command_offset: int  # of the command that created it
    deadline_ms: int  # for the checks
    passed: tuple[str, ...] = ()  # check types, sorted


class Outcome(NamedTuple):
    """`record`: to be kept, None for as before. `publish`: its order goes out. `refusal`: why nothing happened."""

    record: OrderRecord | None = None
    publish: bool = False
    refusal: str = ""


UNCHANGED = Outcome()


def decide(
    command: OrderCommand, record: OrderRecord | None, *, offset: int, now_ms: int, window_ms: int
) -> Outcome:
    """`offset` of the command in its partition; `window_ms` for the checks, from now."""
    match command:
        case CreateOrder():
            if record is None:
                created = OrderRecord(created_order(command), offset, now_ms + window_ms)
                return Outcome(created, publish=True)
            if record.command_offset == offset:
                return _computed_anew(command, record)
            if is_same_request(command.order, record.order):
                return UNCHANGED
            return Outcome(refusal="another order has this id")
        case ShipOrder():
            return _ship(record)


def created_order(command: CreateOrder) -> Order:
    request = command.order
    return Order(
        id=request.id,
        customer_id=request.customer_id,
        state=OrderState.CREATED,
        product=request.product,
        quantity=request.quantity,
        price=request.price,
        created_at=command.received_at if request.created_at is None else request.created_at,
        version=1,
    )


def is_same_request(request: OrderRequest, order: Order) -> bool:
    """Would this request have made that order? A time that it leaves out agrees with any."""
    return (
        request.id == order.id
        and request.customer_id == order.customer_id
        and request.product == order.product
        and request.quantity == order.quantity
        and request.price == order.price
        and request.created_at in (None, order.created_at)
    )


def on_validation(record: OrderRecord, validation: OrderValidation) -> Outcome:
    """A check's result. What comes after the order left CREATED changes nothing."""
    if record.order.state is not OrderState.CREATED:
        return UNCHANGED
    check = validation.check_type.value
    if validation.result is Result.FAIL:
        return _to(record, OrderState.FAILED, f"{check}: {validation.reason or 'failed'}")
    passed = tuple(sorted({*record.passed, check}))
    record = replace(record, passed=passed)
    if set(passed) >= _CHECKS_NEEDED:
        return _to(record, OrderState.VALIDATED)
    return Outcome(record)


def on_deadline(record: OrderRecord, now_ms: int) -> Outcome:
    if record.order.state is not OrderState.CREATED or now_ms < record.deadline_ms:
        return UNCHANGED
    missing = sorted(_CHECKS_NEEDED - set(record.passed))
    return _to(record, OrderState.FAILED, *(f"{check}: no result in time" for check in missing))


def on_payment(record: OrderRecord, payment: Payment) -> Outcome:
    order = record.order
    if order.state in (OrderState.CONFIRMED, OrderState.COMPLETED):
        return UNCHANGED
    if order.state is not OrderState.VALIDATED:
        return Outcome(refusal=f"payment {payment.id} for an order that is {order.state.value}")
    if payment.amount != order.amount:
        return Outcome(refusal=f"payment {payment.id} of {payment.amount} for an order of {order.amount}")
    return _to(record, OrderState.CONFIRMED)


def _ship(record: OrderRecord | None) -> Outcome:
    if record is None:
        return Outcome(refusal="no such order")
    if record.order.state is OrderState.COMPLETED:
        return UNCHANGED
    if record.order.state is not OrderState.CONFIRMED:
        return Outcome(refusal=f"the order is {record.order.state.value}, not CONFIRMED")
    return _to(record, OrderState.COMPLETED)


def _to(record: OrderRecord, state: OrderState, *reasons: str) -> Outcome:
    version = record.order.version + 1
    order = replace(record.order, state=state, version=version, reasons=reasons, corrects=None)
    return Outcome(replace(record, order=order), publish=True)


def _computed_anew(command: CreateOrder, record: OrderRecord) -> Outcome:
    was = record.order
    right = replace(
        created_order(command),
        state=was.state,
        version=was.version,
        reasons=was.reasons,
        corrects=was.corrects,
    )
    if right == was:
        return UNCHANGED
    corrected = replace(right, version=was.version + 1, corrects=was.version)
    return Outcome(replace(record, order=corrected), publish=True)

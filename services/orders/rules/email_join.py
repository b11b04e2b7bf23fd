"""The join for a confirmation mail: a confirmed order with its payment, whichever comes first, then the customer.

Order and payment join when the times of their records are at most the window apart. The customer comes from a whole
table: it may have been written at any time, before or after. Without it the joined pair waits.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from services.orders.rules.transitions import is_transition
from services.orders.schemas import Customer, Mail, Order, OrderState, Payment

PLATINUM = "PLATINUM"


class Half(Struct, frozen=True, rename="camel"):
    """What has come of an order's pair. Times are those of the records, in ms."""

    order: Order | None = None
    ordered_at: int = 0
    payment: Payment | None = None
    paid_at: int = 0
    waits_since: int = 0  # by the clock: what is read late has not waited yet

    @property
    def is_whole(self) -> bool:
        return self.order is not None and self.payment is not None

    def has_waited(self, now_ms: int, most_ms: int) -> bool:
        return max(self.ordered_at, self.paid_at, self.waits_since) < now_ms - most_ms


def is_wanted(order: Order) -> bool:
    return is_transition(order, OrderState.CONFIRMED)


def with_order(half: Half | None, order: Order, at_ms: int, window_ms: int) -> Half:
    """A payment too far away is dropped: it belongs to no order that can still come."""
    known = half if half is not None and abs(at_ms - half.paid_at) <= window_ms else Half()
    return replace(known, order=order, ordered_at=at_ms)


def with_payment(half: Half | None, payment: Payment, at_ms: int, window_ms: int) -> Half:
    known = half if half is not None and abs(at_ms - half.ordered_at) <= window_ms else Half()
    return replace(known, payment=payment, paid_at=at_ms)


def mail_for(order: Order, payment: Payment, customer: Customer) -> Mail:
    return Mail(
        message_id=f"<order-{order.id}@orders.example>",
        order_id=order.id,
        payment_id=payment.id,
        to=customer.email,
        level=customer.level,
        subject=f"Your order {order.id} is confirmed",
        body=(
            f"Dear {customer.first_name} {customer.last_name},\n\n"
            f"we have received {payment.amount} {payment.ccy} for {order.quantity} × {order.product}.\n"
            f"It will be sent to {customer.address}.\n"
        ),
    )

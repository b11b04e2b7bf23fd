"""Goal: an order and its payment join whichever comes first, within the window and not beyond it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.orders.rules import email_join
from services.orders.rules.email_join import Half
from services.orders.schemas import Customer, Order, OrderState, Payment

HOUR = 3_600_000
ORDER = Order("1", "ann", OrderState.CONFIRMED, "pen", 2, Decimal("1.50"), 0, 3)
PAYMENT = Payment("pay-1", "1", "EUR", Decimal("3.00"))
ANN = Customer("ann", "web", 1, "Ann", "A", "ann@example.org", "there", "PLATINUM")


def both(ordered_at: int, paid_at: int, order_first: bool) -> Half:
    if order_first:
        half = email_join.with_order(None, ORDER, ordered_at, HOUR)
        return email_join.with_payment(half, PAYMENT, paid_at, HOUR)
    half = email_join.with_payment(None, PAYMENT, paid_at, HOUR)
    return email_join.with_order(half, ORDER, ordered_at, HOUR)


@pytest.mark.parametrize("order_first", [True, False])
@pytest.mark.parametrize(
    ("ordered_at", "paid_at", "joins"),
    [
        (5 * HOUR, 5 * HOUR, True),
        (5 * HOUR, 6 * HOUR, True),
        (6 * HOUR, 5 * HOUR, True),
        (5 * HOUR, 6 * HOUR + 1, False),
        (6 * HOUR + 1, 5 * HOUR, False),
    ],
)
def test_the_window_is_exact(order_first: bool, ordered_at: int, paid_at: int, joins: bool) -> None:
    assert both(ordered_at, paid_at, order_first).is_whole == joins


def test_a_half_waits() -> None:
    assert not email_join.with_order(None, ORDER, 0, HOUR).is_whole
    assert not email_join.with_payment(None, PAYMENT, 0, HOUR).is_whole


def test_it_waits_by_the_clock() -> None:
    """A record that is read late has not waited before: its other half may be read next."""
    half = replace(email_join.with_order(None, ORDER, 0, HOUR), waits_since=9 * HOUR)
    assert not half.has_waited(10 * HOUR, HOUR)
    assert half.has_waited(10 * HOUR + 1, HOUR)


@pytest.mark.parametrize("state", OrderState)
def test_confirmed_orders_are_wanted(state: OrderState) -> None:
    order = replace(ORDER, state=state)
    assert email_join.is_wanted(order) == (state is OrderState.CONFIRMED)
    assert not email_join.is_wanted(replace(order, corrects=2))


def test_the_mail() -> None:
    mail = email_join.mail_for(ORDER, PAYMENT, ANN)
    assert (mail.to, mail.level, mail.message_id) == (
        "ann@example.org",
        "PLATINUM",
        "<order-1@orders.example>",
    )
    assert "Ann A" in mail.body and "3.00 EUR" in mail.body

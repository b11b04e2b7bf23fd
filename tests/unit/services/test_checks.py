"""Goal: the three checks, the card query and the payment decide as the rules say, at their boundaries exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.orders.rules import card_fraud, details, fraud, inventory, payment
from services.orders.rules.customers import conflict
from services.orders.rules.inventory import Decision, Stock
from services.orders.rules.windows import window_start
from services.orders.schemas import (
    AuthorizationAttempt,
    CheckType,
    Customer,
    Order,
    OrderState,
    OrderValidation,
    PossibleFraud,
    Result,
)

HOUR = 3_600_000
LIMIT = Decimal(2000)
ORDER = Order("1", "ann", OrderState.CREATED, "pen", 2, Decimal("1.50"), 1000, 1)


@pytest.mark.parametrize(
    ("at", "start"), [(0, 0), (HOUR - 1, 0), (HOUR, HOUR), (HOUR + 1, HOUR), (2 * HOUR - 1, HOUR)]
)
def test_a_window_holds_its_start_and_not_its_end(at: int, start: int) -> None:
    assert window_start(at, HOUR) == start


@pytest.mark.parametrize(
    ("before", "quantity", "price", "result"),
    [
        ("0", 1, "1999.99", Result.PASS),
        ("0", 1, "2000.00", Result.FAIL),
        ("1999.98", 1, "0.01", Result.PASS),
        ("1999.98", 2, "0.01", Result.FAIL),
        ("1999.90", 1, "0.1", Result.FAIL),  # as binary fractions these are less than 2000
        ("2000", 1, "0", Result.FAIL),
    ],
)
def test_the_fraud_limit_is_over_it(before: str, quantity: int, price: str, result: Result) -> None:
    order = replace(ORDER, quantity=quantity, price=Decimal(price))
    total, validation = fraud.check(order, Decimal(before), LIMIT)
    assert total == Decimal(before) + quantity * Decimal(price)
    assert (validation.order_id, validation.check_type, validation.result) == (
        "1",
        CheckType.FRAUD_CHECK,
        result,
    )
    assert bool(validation.reason) == (result is Result.FAIL)


def test_a_worthless_order_does_not_make_room_for_others() -> None:
    total, _ = fraud.check(replace(ORDER, price=Decimal(-5000)), Decimal(1999), LIMIT)
    assert total == 1999


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"quantity": 1}, ""),
        ({"price": Decimal(0)}, ""),
        ({"quantity": 0}, "quantity"),
        ({"price": Decimal("-0.01")}, "price"),
        ({"product": ""}, "product"),
        ({"customer_id": ""}, "customer"),
    ],
)
def test_details(change: dict[str, object], fault: str) -> None:
    validation = details.check(replace(ORDER, **change))  # type: ignore[arg-type]
    assert validation.result is (Result.FAIL if fault else Result.PASS)
    assert fault in validation.reason


def test_all_faults_are_named() -> None:
    reason = details.check(replace(ORDER, quantity=0, product="")).reason
    assert "quantity" in reason and "product" in reason


def test_the_last_item_goes_to_who_comes_first() -> None:
    first = inventory.on_order(ORDER, Stock(2), 0)
    assert first == Decision(Stock(2, 2), 2, OrderValidation("1", CheckType.INVENTORY_CHECK, Result.PASS))
    second = inventory.on_order(replace(ORDER, id="2", quantity=1), first.stock, 0)
    assert second.stock == first.stock and second.reservation == 0
    assert second.validation is not None and second.validation.result is Result.FAIL


def test_a_reservation_lasts_until_the_order_ends() -> None:
    held = Stock(5, 2)
    for state in (OrderState.VALIDATED, OrderState.CONFIRMED):
        assert inventory.on_order(replace(ORDER, state=state), held, 2) == Decision(held, 2)
    assert inventory.on_order(replace(ORDER, state=OrderState.FAILED), held, 2) == Decision(Stock(5, 0), 0)
    assert inventory.on_order(replace(ORDER, state=OrderState.COMPLETED), held, 2) == Decision(Stock(3, 0), 0)


@pytest.mark.parametrize("state", [OrderState.FAILED, OrderState.COMPLETED])
def test_the_end_of_an_order_without_a_reservation_changes_nothing(state: OrderState) -> None:
    assert inventory.on_order(replace(ORDER, state=state), Stock(5, 2), 0) == Decision(Stock(5, 2), 0)
    assert inventory.on_order(replace(ORDER, state=state), None, 0) == Decision(None, 0)


@pytest.mark.parametrize(("stock", "quantity"), [(None, 1), (Stock(9), 0), (Stock(9), -3), (Stock(0), 1)])
def test_what_cannot_be_reserved(stock: Stock | None, quantity: int) -> None:
    decision = inventory.on_order(replace(ORDER, quantity=quantity), stock, 0)
    assert (decision.stock, decision.reservation) == (stock, 0)
    assert decision.validation is not None and decision.validation.result is Result.FAIL
    assert decision.validation.reason


def test_a_correction_reserves_nothing() -> None:
    assert inventory.on_order(replace(ORDER, corrects=1), Stock(9), 0) == Decision(Stock(9), 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([OrderState.CREATED, OrderState.FAILED, OrderState.COMPLETED, None]),
        st.integers(0, 4),
        st.integers(-1, 6),
    )
)


@given(STEPS)
def test_never_more_reserved_than_there_is(steps: list[tuple[OrderState | None, int, int]]) -> None:
    """Whatever comes in whatever order, and Σ of the reservations is what the stock says."""
    stock: Stock | None = None
    held: dict[int, int] = {}
    for state, number, quantity in steps:
        if state is None:
            stock = inventory.on_goods(max(quantity, 1), stock)
            continue
        if state is OrderState.CREATED and held.get(number):
            continue  # an order is created once
        order = replace(ORDER, id=str(number), state=state, quantity=quantity)
        stock, held[number], _ = inventory.on_order(order, stock, held.get(number, 0))
        assert sum(held.values()) == (stock.reserved if stock else 0)
        assert stock is None or 0 <= stock.reserved <= stock.count


def test_the_fourth_attempt_on_a_card_is_one_too_many() -> None:
    attempt = AuthorizationAttempt("4711", 10, Decimal(1))
    alerts = []
    count = 0
    for _ in range(5):
        count, alert = card_fraud.on_attempt(attempt, count, 0)
        alerts.append(alert)
    assert alerts == [None, None, None, PossibleFraud("4711", 0, 4), PossibleFraud("4711", 0, 5)]


@pytest.mark.parametrize("state", OrderState)
def test_validated_orders_are_paid_once(state: OrderState) -> None:
    order = replace(ORDER, state=state)
    assert payment.is_due(order) == (state is OrderState.VALIDATED)
    assert not payment.is_due(replace(order, corrects=1))
    paid = payment.payment_for(order, "EUR")
    assert (paid.id, paid.order_id, paid.amount) == ("pay-1", "1", Decimal("3.00"))


def test_a_change_of_an_old_version_is_refused() -> None:
    bob = Customer("bob", "web", 2, "Bob", "B", "b@example.org", "here", "GOLD")
    assert conflict(replace(bob, version=3), bob) == ""
    assert conflict(replace(bob, version=1), None) == ""
    assert "2 was given" in conflict(bob, bob)
    assert conflict(replace(bob, version=4), bob)
    assert conflict(bob, None)

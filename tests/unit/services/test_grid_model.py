"""Goal: the grid shows what the log says, whatever order the topics are read in."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from services.orders import topics
from services.orders.grid_model import GridModel
from services.orders.schemas import (
    CheckType,
    Customer,
    Order,
    OrderState,
    OrderValidation,
    Payment,
    Result,
    StockCount,
)

ORDER = Order("1", "ann", OrderState.CREATED, "pen", 2, Decimal("1.50"), 0, 1)
ANN = Customer("ann", "web", 1, "Ann", "A", "ann@example.org", "there", "GOLD")
PAYMENT = Payment("pay-1", "1", "EUR", Decimal("3.00"))


def test_an_order_is_in_one_state() -> None:
    model = GridModel()
    for version, state in enumerate((OrderState.CREATED, OrderState.VALIDATED, OrderState.CONFIRMED), 1):
        model.apply(topics.ORDERS, replace(ORDER, state=state, version=version), 100 * version)
    model.apply(topics.ORDERS, replace(ORDER, id="2"), 0)
    assert +model.states == {OrderState.CONFIRMED: 1, OrderState.CREATED: 1}
    assert model.latency_ms(0.5) == 100


def test_a_correction_is_no_order_more() -> None:
    model = GridModel()
    model.apply(topics.ORDERS, ORDER, 0)
    model.apply(topics.ORDERS, replace(ORDER, version=2, corrects=1, created_at=9), 0)
    assert +model.states == {OrderState.CREATED: 1}
    assert [line.order.created_at for line in model.recent()] == [9]


def test_what_belongs_together_is_joined_in_any_order() -> None:
    events = [(topics.ORDERS, ORDER), (topics.PAYMENTS, PAYMENT), (topics.CUSTOMERS, ANN)]
    for turn in range(3):
        model = GridModel()
        for topic, value in events[turn:] + events[:turn]:
            model.apply(topic, value, 0)
        assert list(model.recent()) == [(ORDER, ANN, PAYMENT)]


def test_counts() -> None:
    model = GridModel()
    model.apply(topics.ORDER_VALIDATIONS, OrderValidation("1", CheckType.FRAUD_CHECK, Result.FAIL, "x"), 0)
    model.apply(topics.ORDER_VALIDATIONS, OrderValidation("1", CheckType.INVENTORY_CHECK, Result.PASS), 0)
    model.apply(topics.WAREHOUSE_INVENTORY, StockCount("pen", 4), 0)
    model.apply(topics.WAREHOUSE_INVENTORY, StockCount("pen", 3), 0)
    assert (model.failures, model.stock) == ({"FRAUD_CHECK": 1}, {"pen": 3})


def test_the_rate_is_of_late() -> None:
    model = GridModel()
    for number in range(20):
        model.apply(topics.ORDERS, replace(ORDER, id=str(number)), number * 1000)
    assert model.rate(20_000) == 1.0
    assert model.rate(100_000) == 0

"""Goal: an order goes through its states as the rules say, each at most once. Method: every event in every state."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.orders.rules import lifecycle
from services.orders.rules.lifecycle import UNCHANGED, OrderRecord
from services.orders.schemas import (
    CheckType,
    CreateOrder,
    Order,
    OrderRequest,
    OrderState,
    OrderValidation,
    Payment,
    Result,
    ShipOrder,
)

REQUEST = OrderRequest("1", "ann", "pen", 2, Decimal("1.50"))
CREATE = CreateOrder(received_at=1000, order=REQUEST)
SHIP = ShipOrder("1", received_at=2000)
PAYMENT = Payment("pay-1", "1", "EUR", Decimal("3.00"))


def decide(
    command: CreateOrder | ShipOrder, record: OrderRecord | None, offset: int = 7
) -> lifecycle.Outcome:
    return lifecycle.decide(command, record, offset=offset, now_ms=5000, window_ms=300)


def created() -> OrderRecord:
    record = decide(CREATE, None).record
    assert record is not None
    return record


def in_state(state: OrderState) -> OrderRecord:
    record = created()
    return replace(record, order=replace(record.order, state=state))


def passing(check: CheckType) -> OrderValidation:
    return OrderValidation("1", check, Result.PASS)


def failing(check: CheckType, reason: str = "bad") -> OrderValidation:
    return OrderValidation("1", check, Result.FAIL, reason)


def test_the_first_command_creates_the_order() -> None:
    outcome = decide(CREATE, None)
    assert outcome.publish
    assert outcome.record == OrderRecord(
        Order("1", "ann", OrderState.CREATED, "pen", 2, Decimal("1.50"), 1000, 1),
        command_offset=7,
        deadline_ms=5300,
    )


def test_an_order_keeps_its_own_time() -> None:
    command = CreateOrder(1000, replace(REQUEST, created_at=3))
    assert lifecycle.created_order(command).created_at == 3


@pytest.mark.parametrize("state", OrderState)
def test_the_same_request_again_changes_nothing(state: OrderState) -> None:
    assert decide(CreateOrder(9999, REQUEST), in_state(state), offset=8) == UNCHANGED


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 3},
        {"product": "ink"},
        {"customer_id": "bob"},
        {"price": Decimal("1.51")},
        {"created_at": 1001},
    ],
)
def test_another_request_for_the_id_is_refused(state: OrderState, change: dict[str, object]) -> None:
    outcome = decide(CreateOrder(9999, replace(REQUEST, **change)), in_state(state), offset=8)  # type: ignore[arg-type]
    assert outcome.record is None and "id" in outcome.refusal


def test_three_passes_validate() -> None:
    record = created()
    for check in (CheckType.FRAUD_CHECK, CheckType.INVENTORY_CHECK):
        outcome = lifecycle.on_validation(record, passing(check))
        assert not outcome.publish and outcome.record is not None
        record = outcome.record
    outcome = lifecycle.on_validation(record, passing(CheckType.ORDER_DETAILS_CHECK))
    assert outcome.publish and outcome.record is not None
    assert (outcome.record.order.state, outcome.record.order.version) == (OrderState.VALIDATED, 2)


def test_the_same_check_three_times_does_not() -> None:
    record = created()
    for _ in range(3):
        outcome = lifecycle.on_validation(record, passing(CheckType.FRAUD_CHECK))
        assert outcome.record is not None and not outcome.publish
        record = outcome.record
    assert record.passed == ("FRAUD_CHECK",)


def test_one_failure_fails_and_says_why() -> None:
    outcome = lifecycle.on_validation(created(), failing(CheckType.INVENTORY_CHECK, "none left"))
    assert outcome.publish and outcome.record is not None
    assert outcome.record.order.state is OrderState.FAILED
    assert outcome.record.order.reasons == ("INVENTORY_CHECK: none left",)


@pytest.mark.parametrize("state", set(OrderState) - {OrderState.CREATED})
@pytest.mark.parametrize("validation", [passing(CheckType.FRAUD_CHECK), failing(CheckType.FRAUD_CHECK)])
def test_validations_after_the_decision_change_nothing(
    state: OrderState, validation: OrderValidation
) -> None:
    assert lifecycle.on_validation(in_state(state), validation) == UNCHANGED


def test_the_deadline_is_exact_and_names_what_is_missing() -> None:
    outcome = lifecycle.on_validation(created(), passing(CheckType.FRAUD_CHECK))
    assert outcome.record is not None
    assert lifecycle.on_deadline(outcome.record, 5299) == UNCHANGED
    expired = lifecycle.on_deadline(outcome.record, 5300).record
    assert expired is not None and expired.order.state is OrderState.FAILED
    assert expired.order.reasons == (
        "INVENTORY_CHECK: no result in time",
        "ORDER_DETAILS_CHECK: no result in time",
    )


@pytest.mark.parametrize("state", set(OrderState) - {OrderState.CREATED})
def test_nothing_expires_after_the_decision(state: OrderState) -> None:
    assert lifecycle.on_deadline(in_state(state), 10**9) == UNCHANGED


@pytest.mark.parametrize("state", OrderState)
def test_a_payment_confirms_what_is_validated(state: OrderState) -> None:
    outcome = lifecycle.on_payment(in_state(state), PAYMENT)
    match state:
        case OrderState.VALIDATED:
            assert outcome.record is not None and outcome.publish
            assert outcome.record.order.state is OrderState.CONFIRMED
        case OrderState.CONFIRMED | OrderState.COMPLETED:
            assert outcome == UNCHANGED
        case _:
            assert state.value in outcome.refusal


def test_a_payment_of_another_amount_is_refused() -> None:
    outcome = lifecycle.on_payment(in_state(OrderState.VALIDATED), replace(PAYMENT, amount=Decimal("2.99")))
    assert outcome.record is None and "2.99" in outcome.refusal


@pytest.mark.parametrize("state", OrderState)
def test_only_what_is_confirmed_ships(state: OrderState) -> None:
    outcome = decide(SHIP, in_state(state))
    match state:
        case OrderState.CONFIRMED:
            assert outcome.record is not None and outcome.record.order.state is OrderState.COMPLETED
        case OrderState.COMPLETED:
            assert outcome == UNCHANGED
        case _:
            assert state.value in outcome.refusal
    assert decide(SHIP, None).refusal


@pytest.mark.parametrize("state", OrderState)
def test_a_rewind_without_a_difference_is_nothing(state: OrderState) -> None:
    assert decide(CREATE, in_state(state), offset=7) == UNCHANGED


@pytest.mark.parametrize("state", OrderState)
def test_a_rewind_puts_right_what_was_wrong(state: OrderState) -> None:
    wrong = in_state(state)
    wrong = replace(wrong, order=replace(wrong.order, created_at=999, version=4))
    outcome = decide(CREATE, wrong, offset=7)
    assert outcome.publish and outcome.record is not None
    order = outcome.record.order
    assert (order.created_at, order.state, order.version, order.corrects) == (1000, state, 5, 4)
    assert decide(CREATE, outcome.record, offset=7) == UNCHANGED


EVENTS = st.one_of(
    st.builds(
        OrderValidation,
        order_id=st.just("1"),
        check_type=st.sampled_from(CheckType),
        result=st.sampled_from(Result),
        reason=st.just(""),
    ),
    st.just(PAYMENT),
    st.just(SHIP),
    st.just(CREATE),
    st.integers(5000, 5400),
)


@given(st.lists(EVENTS, max_size=30))
def test_any_events_make_a_legal_history(events: list[object]) -> None:
    """One version after the other, no state twice, a FAILED with reasons."""
    record = created()
    published = [record.order]
    for event in events:
        match event:
            case OrderValidation():
                outcome = lifecycle.on_validation(record, event)
            case Payment():
                outcome = lifecycle.on_payment(record, event)
            case int():
                outcome = lifecycle.on_deadline(record, event)
            case CreateOrder() | ShipOrder():
                outcome = decide(event, record)
            case _:
                raise AssertionError
        record = outcome.record or record
        if outcome.publish:
            published.append(record.order)
    assert [order.version for order in published] == list(range(1, len(published) + 1))
    assert len({order.state for order in published}) == len(published)
    assert all(bool(order.reasons) == (order.state is OrderState.FAILED) for order in published)
    if OrderState.FAILED in {order.state for order in published}:
        assert len(published) == 2

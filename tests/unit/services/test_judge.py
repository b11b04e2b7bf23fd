"""Goal: the judge of the services' tests finds what is wrong. Method: a sound run, spoilt one way at a time."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from services.runtime.murmur2 import partition_of
from tests.services.judge import Judge
from tests.services.recording import Recording, Written
from tests.services.shoppers import Purchase

Log = dict[str, list[tuple[str, Any]]]
BODY = {"id": "good", "customerId": "ann", "product": "pen", "quantity": 2, "price": 3}


def order(order_id: str, state: str, version: int, **more: Any) -> tuple[str, Any]:
    return order_id, {**BODY, "id": order_id, "state": state, "version": version, "createdAt": 5, **more}


def validation(order_id: str, check: str, result: str, **more: Any) -> tuple[str, Any]:
    return order_id, {"orderId": order_id, "checkType": check, "result": result, **more}


def sound() -> Log:
    """One order that goes all the way, and one that wants more than is left."""
    good = [
        order("good", state, version)
        for version, state in enumerate(("CREATED", "VALIDATED", "CONFIRMED"), 1)
    ]
    reasons = ["INVENTORY_CHECK: 2 left"]
    bad = [order("bad", "CREATED", 1, quantity=9), order("bad", "FAILED", 2, quantity=9, reasons=reasons)]
    return {
        "orders": [*good, order("good", "COMPLETED", 4), *bad],
        "fraud-orders-by-customer": [("ann", good[0][1]), ("ann", bad[0][1])],
        "inventory-product-events": [
            ("pen", {"type": "GOODS", "goods": {"id": "d", "product": "pen", "quantity": 4}}),
            ("pen", {"type": "ORDER", "order": good[0][1]}),
            ("pen", {"type": "ORDER", "order": bad[0][1]}),
            ("pen", {"type": "ORDER", "order": bad[1][1]}),
            ("pen", {"type": "ORDER", "order": order("good", "COMPLETED", 4)[1]}),
        ],
        "order-validations": [
            *(
                validation("good", f"{name}_CHECK", "PASS")
                for name in ("FRAUD", "INVENTORY", "ORDER_DETAILS")
            ),
            validation("bad", "FRAUD_CHECK", "PASS"),
            validation("bad", "INVENTORY_CHECK", "FAIL", reason="2 left"),
            validation("bad", "ORDER_DETAILS_CHECK", "PASS"),
        ],
        "payments": [("pay-good", {"id": "pay-good", "orderId": "good", "ccy": "EUR", "amount": 6})],
        "customers": [("ann", {"id": "ann", "email": "ann@example.org", "level": "PLATINUM"})],
        "outbox-emails": [("good", {"orderId": "good", "to": "ann@example.org", "level": "PLATINUM"})],
        "platinum-emails": [("good", {"orderId": "good"})],
        "warehouse-inventory": [
            ("pen", {"product": "pen", "count": 4}),
            ("pen", {"product": "pen", "count": 2}),
        ],
        "authorization-attempts": [("4711", {"card": "4711", "at": 7, "amount": 1})] * 4,
        "possible-fraud": [("4711", {"card": "4711", "windowStart": 0, "attempts": 4})],
        "dead-letters": [("", {"topic": "orders", "reason": "no", "value": base64.b64encode(b"x").decode()})],
    }


PURCHASES = [
    Purchase("good", BODY, 201),
    Purchase("good", {**BODY, "quantity": 3}, 409),
    Purchase("bad", {**BODY, "id": "bad", "quantity": 9}, 201),
    Purchase("good", b"nonsense", 400),
]


class _Written(Recording):
    def __init__(self, log: Log) -> None:
        self._log = log

    def partitions(self, topic: str) -> list[list[Written]]:
        found: dict[int, list[Written]] = {}
        for key, value in self._log.get(topic, []):
            number = partition_of(key.encode(), 3)
            data = json.dumps(value).encode()
            found.setdefault(number, []).append(Written(number, len(found), 0, key.encode(), data))
        return list(found.values())


def judge(log: Log, purchases: list[Purchase] = PURCHASES) -> None:
    judging = object.__new__(Judge)
    judging.recording = _Written(log)
    judging._fraud_limit = Decimal(2000)
    judging.check(purchases, [("orders", b"x")])


def test_a_sound_run_passes() -> None:
    judge(sound())


def _drop(topic: str, index: int) -> Callable[[Log], object]:
    return lambda log: log[topic].pop(index)


def _double(topic: str, index: int) -> Callable[[Log], object]:
    return lambda log: log[topic].insert(index, log[topic][index])


def _change(topic: str, index: int, **fields: Any) -> Callable[[Log], object]:
    def change(log: Log) -> None:
        key, value = log[topic][index]
        log[topic][index] = (key, {**value, **fields})

    return change


SPOILT = {
    "a transition is missing": _drop("orders", 1),
    "a transition happened twice": _double("orders", 1),
    "a version is wrong": _change("orders", 2, version=7),
    "a state that cannot follow": _change("orders", 2, state="COMPLETED"),
    "failed without a reason": _change("orders", 5, reasons=[]),
    "failed for another reason": _change("orders", 5, reasons=["FRAUD_CHECK: no"]),
    "a result is missing": _drop("order-validations", 5),
    "a result came twice": _double("order-validations", 0),
    "fraud was seen where none was": _change("order-validations", 3, result="FAIL", reason="x"),
    "sold what was not there": _change("order-validations", 4, result="PASS"),
    "details passed what is wrong": _change("orders", 0, quantity=0),
    "rekeyed twice": _double("fraud-orders-by-customer", 0),
    "not rekeyed": _drop("inventory-product-events", 1),
    "reserved twice": _double("inventory-product-events", 1),
    "paid twice": _double("payments", 0),
    "not paid": _drop("payments", 0),
    "paid too little": _change("payments", 0, amount=5),
    "mailed twice": _double("outbox-emails", 0),
    "not mailed": _drop("outbox-emails", 0),
    "mailed to somebody else": _change("outbox-emails", 0, to="bob@example.org"),
    "platinum missed": _drop("platinum-emails", 0),
    "stock is wrong": _change("warehouse-inventory", 1, count=3),
    "no alert": _drop("possible-fraud", 0),
    "an alert twice": _double("possible-fraud", 0),
    "an alert too early": _change("possible-fraud", 0, attempts=3),
    "a dead letter twice": _double("dead-letters", 0),
    "a dead letter lost": _drop("dead-letters", 0),
    "a dead letter changed": _change("dead-letters", 0, value=base64.b64encode(b"y").decode()),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_run_does_not(spoil: Callable[[Log], object]) -> None:
    log = sound()
    spoil(log)
    with pytest.raises((AssertionError, KeyError, IndexError)):
        judge(log)


@pytest.mark.parametrize(
    "purchases",
    [
        [*PURCHASES, Purchase("lost", {**BODY, "id": "lost"}, 201)],
        [*PURCHASES, Purchase("good", {**BODY, "quantity": 3}, 201)],
        [*PURCHASES, Purchase("good", BODY, 409)],
        [*PURCHASES, Purchase("good", BODY, 504)],
        [*PURCHASES, Purchase("good", BODY, 400)],
        PURCHASES[:2],
    ],
    ids=["lost", "accepted twice", "refused wrongly", "unknown", "400 wrongly", "from nobody"],
)
def test_answers_that_do_not_fit_the_log(purchases: list[Purchase]) -> None:
    with pytest.raises((AssertionError, KeyError, IndexError)):
        judge(sound(), purchases)

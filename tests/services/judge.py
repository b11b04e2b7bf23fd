"""Judges a run of the ecosystem by what its topics hold: the models of model.py, and what must hold in every run.

one result for each order and check                    one transition each, one version after the other
results are the models'                                no FAILED without reasons, and no other with any
never more reserved than there is                      one payment for each validated order
stock published is the model's                         one mail for each confirmed order
no accepted order is lost, none accepted twice         every unreadable record set aside once, as it was
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.services import model
from tests.services.recording import Recording
from tests.services.shoppers import Purchase

TOPICS = [
    "order-commands",
    "orders",
    "order-validations",
    "payments",
    "customers",
    "warehouse-inventory",
    "authorization-attempts",
    "possible-fraud",
    "outbox-emails",
    "platinum-emails",
    "dead-letters",
    "fraud-orders-by-customer",
    "inventory-product-events",
]
_NEXT = {
    "CREATED": {"VALIDATED", "FAILED"},
    "VALIDATED": {"CONFIRMED"},
    "CONFIRMED": {"COMPLETED"},
    "FAILED": set(),
    "COMPLETED": set(),
}


class Judge:
    def __init__(self, bootstrap: str, *, fraud_limit: Decimal = Decimal(2000)) -> None:
        self.recording = Recording(bootstrap, TOPICS)
        self._fraud_limit = fraud_limit

    def wait(self, expected: Iterable[str], timeout_s: float) -> None:
        """Until each of these orders is decided and what follows from it has happened."""
        wanted = set(expected)

        def is_settled() -> str:
            states = {order_id: history[-1]["state"] for order_id, history in self.histories().items()}
            missing = wanted - states.keys()
            pending = {name for name, state in states.items() if state in {"CREATED", "VALIDATED"}}
            confirmed = {name for name, state in states.items() if state in {"CONFIRMED", "COMPLETED"}}
            mailed = {record.json["orderId"] for record in self.recording.all("outbox-emails")}
            checked = len(list(self.recording.all("order-validations")))
            what = {
                "missing": missing,
                "pending": pending,
                "unmailed": confirmed - mailed,
                "unchecked": len(states) * 3 - checked,
            }
            return ", ".join(f"{name}: {some}" for name, some in what.items() if some)[:1000]

        self.recording.read_until(is_settled, timeout_s)

    def histories(self) -> dict[str, list[dict[str, Any]]]:
        """The events of each order in their order."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in self.recording.all("orders"):
            order = record.json
            assert record.key == order["id"].encode()
            found[order["id"]].append(order)
        return found

    def check(self, purchases: Iterable[Purchase], garbage: Iterable[tuple[str, bytes]] = ()) -> None:
        self.check_log()
        self._check_purchases(list(purchases))
        self._check_dead_letters(garbage)

    def check_log(self) -> None:
        """All that can be said without knowing what was posted."""
        self._check_histories()
        self._check_results()
        self._check_decisions()
        self._check_money_and_mail()
        self._check_stock()
        self._check_cards()

    def _check_histories(self) -> None:
        for history in self.histories().values():
            assert [event["version"] for event in history] == list(range(1, len(history) + 1)), history
            assert history[0]["state"] == "CREATED"
            transitions = [event for event in history if "corrects" not in event]
            for before, after in pairwise(transitions):
                assert after["state"] in _NEXT[before["state"]], history
            for event in history:
                assert bool(event.get("reasons")) == (event["state"] == "FAILED"), history

    def _check_results(self) -> None:
        results: dict[str, dict[str, str]] = defaultdict(dict)
        for record in self.recording.all("order-validations"):
            validation = record.json
            of_check = results[validation["checkType"]]
            assert validation["orderId"] not in of_check, f"two results: {validation}"
            of_check[validation["orderId"]] = validation["result"]
        created = {order_id: history[0] for order_id, history in self.histories().items()}
        assert results["ORDER_DETAILS_CHECK"] == model.details(created.values())
        assert results["FRAUD_CHECK"] == model.fraud(self.recording, self._fraud_limit)
        assert results["INVENTORY_CHECK"] == model.inventory(self.recording).results
        assert all(of_check.keys() == created.keys() for of_check in results.values())

    def _check_decisions(self) -> None:
        decided = model.decisions(self.recording)
        for order_id, history in self.histories().items():
            transitions = [event for event in history if "corrects" not in event]
            state, reasons = decided[order_id]
            assert (transitions[1]["state"], tuple(transitions[1].get("reasons", ()))) == (state, reasons)

    def _check_money_and_mail(self) -> None:
        histories = self.histories()
        validated = {name for name, history in histories.items() if _was(history, "VALIDATED")}
        confirmed = {name for name, history in histories.items() if _was(history, "CONFIRMED")}
        payments = [record.json for record in self.recording.all("payments")]
        assert Counter(payment["orderId"] for payment in payments) == Counter(validated)
        for payment in payments:
            order = histories[payment["orderId"]][0]
            assert payment["amount"] == order["quantity"] * order["price"]
        mails = [record.json for record in self.recording.all("outbox-emails")]
        assert Counter(mail["orderId"] for mail in mails) == Counter(confirmed)
        customers = {record.json["id"]: record.json for record in self.recording.all("customers")}
        for mail in mails:
            customer = customers[histories[mail["orderId"]][0]["customerId"]]
            assert (mail["to"], mail["level"]) == (customer["email"], customer["level"])
        platinum = Counter(mail["orderId"] for mail in mails if mail["level"] == "PLATINUM")
        assert Counter(record.json["orderId"] for record in self.recording.all("platinum-emails")) == platinum

    def _check_stock(self) -> None:
        warehouse = model.inventory(self.recording)
        published = {
            record.json["product"]: record.json["count"]
            for record in self.recording.all("warehouse-inventory")
        }
        assert published == warehouse.stock
        ended = {"FAILED", "COMPLETED"}
        open_ = Counter[str]()
        for order_id, history in self.histories().items():
            if history[-1]["state"] not in ended and warehouse.results[order_id] == "PASS":
                open_[history[0]["product"]] += history[0]["quantity"]
        assert warehouse.reserved == dict(open_)

    def _check_cards(self) -> None:
        raised = Counter(
            (alert["card"], alert["windowStart"], alert["attempts"])
            for alert in (record.json for record in self.recording.all("possible-fraud"))
        )
        assert raised == model.card_alerts(self.recording)

    def _check_purchases(self, purchases: list[Purchase]) -> None:
        histories = self.histories()
        accepted: dict[str, set[str]] = defaultdict(set)
        for purchase in purchases:
            match purchase.status:
                case 201:
                    first = histories[purchase.order_id][0]
                    assert purchase.is_of(first), (purchase, first)
                    accepted[purchase.order_id].add(purchase.content)
                case 409:
                    assert not purchase.is_of(histories[purchase.order_id][0]), purchase
                case 400:
                    assert purchase.is_malformed, purchase
                case other:
                    raise AssertionError(f"{other} for {purchase}")
        assert all(len(contents) == 1 for contents in accepted.values())
        assert accepted.keys() == histories.keys()

    def _check_dead_letters(self, garbage: Iterable[tuple[str, bytes]]) -> None:
        letters = [record.json for record in self.recording.all("dead-letters")]
        found = Counter((letter["topic"], base64.b64decode(letter["value"])) for letter in letters)
        assert found == Counter(garbage)
        assert all(letter["reason"] for letter in letters)


def _was(history: list[dict[str, Any]], state: str) -> bool:
    return any(event["state"] == state for event in history)

"""Goal: an order whose checks do not all come in time ends FAILED, with those that are missing named, and stays so.

Method: the services with a window of seconds in place of five minutes, and no Fraud Service at first. When that comes
back its results are late: they change nothing, and what was reserved is free again: one order takes all of it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.services import http_client as http
from tests.services import model, shoppers
from tests.services.ecosystem import Ecosystem, until_assigned, until_stocked
from tests.services.judge import Judge
from tests.services.shoppers import Purchase

pytestmark = [pytest.mark.services, pytest.mark.slow]
WINDOW_MS = 20_000  # enough for the others, also on a busy machine
STOCK = 100
ORDERS = [f"o{number}" for number in range(5)]


@pytest.mark.timeout(180)
def test_deadline(tmp_path: Path) -> None:
    window = {"check_window_ms": str(WINDOW_MS)}
    with Ecosystem(
        tmp_path, stock={"pen": STOCK}, customers=shoppers.CUSTOMERS, instances=1, **window
    ) as ecosystem:
        ecosystem.services.remove("fraud")
        until_assigned(ecosystem.services, "orders", "details", "inventory")
        until_stocked(ecosystem)
        assert asyncio.run(buy_all(ecosystem, ORDERS, 2)) == ["FAILED"] * len(ORDERS)
        ecosystem.services.start("fraud")
        judge = Judge(ecosystem.broker.bootstrap)
        judge.wait(ORDERS, 60)  # until the late results are there
        assert results(judge, "FRAUD_CHECK") == dict.fromkeys(ORDERS, "PASS")
        assert results(judge, "INVENTORY_CHECK") == dict.fromkeys(ORDERS, "PASS")
        histories = judge.histories()
        assert sorted(histories) == ORDERS
        for history in histories.values():
            assert [order["state"] for order in history] == ["CREATED", "FAILED"]
            assert history[1]["reasons"] == ["FRAUD_CHECK: no result in time"]
        assert not list(judge.recording.all("dead-letters"))
        # Until the topic that decides who gets what has it all back.
        judge.recording.read_until(lambda: str(model.inventory(judge.recording).reserved or ""), 60)
        (state,) = asyncio.run(buy_all(ecosystem, ["all"], STOCK))
        assert state in {"VALIDATED", "CONFIRMED"}


def results(judge: Judge, check: str) -> dict[str, str]:
    """By order."""
    validations: list[dict[str, Any]] = [record.json for record in judge.recording.all("order-validations")]
    return {found["orderId"]: found["result"] for found in validations if found["checkType"] == check}


async def buy_all(ecosystem: Ecosystem, order_ids: list[str], quantity: int) -> list[str]:
    """The states that the orders are decided in."""

    async def buy(order_id: str) -> str:
        body = {
            "id": order_id,
            "customerId": "customer-1",
            "product": "pen",
            "quantity": quantity,
            "price": 1,
        }
        purchase = Purchase(order_id, body)
        await shoppers.post(ecosystem.url, purchase)
        assert purchase.status == 201
        url = f"{ecosystem.url()}/orders/validated/{order_id}?timeout=60000"
        answer = await http.request("GET", url, timeout_s=65)
        assert answer.status == 200, answer
        return str(answer.value["state"])

    return await asyncio.gather(*(buy(order_id) for order_id in order_ids))

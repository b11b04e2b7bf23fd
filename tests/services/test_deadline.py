"""Goal: an order whose checks do not all come in time ends FAILED, with those that are missing named, and stays so.

Method: the services with a window of seconds in place of five minutes, and no Fraud Service at first. When that comes
back its results are late: they change nothing, and what was reserved is free again.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.services import http_client as http
from tests.services import model, shoppers
from tests.services.ecosystem import Ecosystem
from tests.services.judge import Judge
from tests.services.shoppers import Purchase

pytestmark = [pytest.mark.services, pytest.mark.slow]
WINDOW_MS = 5000  # enough for the others, also on a busy machine
ORDERS = 5


@pytest.mark.timeout(180)
def test_deadline(tmp_path: Path) -> None:
    window = {"check_window_ms": str(WINDOW_MS)}
    with Ecosystem(
        tmp_path, stock={"pen": 100}, customers=shoppers.CUSTOMERS, instances=1, **window
    ) as ecosystem:
        ecosystem.services.remove("fraud")
        asyncio.run(fail_in_time(ecosystem))
        ecosystem.services.start("fraud")
        judge = Judge(ecosystem.broker.bootstrap)
        judge.wait((), 60)  # until the late results are there
        late = {record.json["orderId"] for record in judge.recording.all("order-validations")}
        histories = judge.histories()
        assert late == histories.keys()
        for history in histories.values():
            assert [order["state"] for order in history] == ["CREATED", "FAILED"]
            assert history[1]["reasons"] == ["FRAUD_CHECK: no result in time"]
        assert not list(judge.recording.all("dead-letters"))
        warehouse = model.inventory(judge.recording)
        assert set(warehouse.results.values()) == {"PASS"}
        assert warehouse.reserved == {}


async def fail_in_time(ecosystem: Ecosystem) -> None:
    async def buy(number: int) -> None:
        body = {"id": f"o{number}", "customerId": "customer-1", "product": "pen", "quantity": 2, "price": 1}
        purchase = Purchase(f"o{number}", body)
        await shoppers.post(ecosystem.url, purchase)
        assert purchase.status == 201
        url = f"{ecosystem.url()}/orders/validated/{purchase.order_id}?timeout=60000"
        answer = await http.request("GET", url, timeout_s=65)
        assert answer.value["state"] == "FAILED", answer

    await asyncio.gather(*(buy(number) for number in range(ORDERS)))

"""Goal: GETs wait for what they ask for, by the thousand, and are right while partitions move and views are rebuilt.

Method: one ecosystem; requests held open before their orders exist; instances added and removed under traffic, each
answer checked against what was posted.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from services.orders.supervisor import NotReady
from tests.services import http_client as http
from tests.services import shoppers
from tests.services.ecosystem import Ecosystem, until_stocked
from tests.services.judge import Judge
from tests.services.shoppers import Purchase

pytestmark = [pytest.mark.services, pytest.mark.slow]
WAITING = 2000
IDS = 100
MOVING_TIMEOUT_MS = 15_000
ENDLESS = 64 * 1024 * 1024


@pytest.mark.timeout(300)
def test_reading(tmp_path: Path) -> None:
    stock = {"pen": 10**6}
    with Ecosystem(tmp_path, stock=stock, customers=shoppers.CUSTOMERS, partitions="6") as ecosystem:
        until_stocked(ecosystem)
        done = asyncio.run(wait_by_the_thousand(ecosystem))
        asyncio.run(time_out(ecosystem))
        asyncio.run(too_large(ecosystem))
        asyncio.run(documentation(ecosystem))
        done += asyncio.run(move_partitions(ecosystem))
        asyncio.run(stop_while_waiting(ecosystem))
        asyncio.run(rebuild(ecosystem, len({purchase.order_id for purchase in done})))
        judge = Judge(ecosystem.broker.bootstrap)
        judge.wait({purchase.order_id for purchase in done if purchase.status == 201}, 60)
        judge.check(done)


def body_of(order_id: str, quantity: int = 1) -> dict[str, Any]:
    return {"id": order_id, "customerId": "customer-1", "product": "pen", "quantity": quantity, "price": 0.5}


async def wait_by_the_thousand(ecosystem: Ecosystem) -> list[Purchase]:
    urls = [ecosystem.url(instance) for instance in ecosystem.instances]
    ids = [f"awaited-{number}" for number in range(IDS)]
    first = Purchase("first", body_of("first"))
    await shoppers.post(ecosystem.url, first)
    questions = [
        asyncio.create_task(
            http.request(
                "GET", f"{urls[number % len(urls)]}/orders/validated/{ids[number % IDS]}?timeout=60000"
            )
        )
        for number in range(WAITING)
    ]
    while sum([await waiting_at(url) for url in urls]) < WAITING:
        assert not any(question.done() for question in questions)
        await asyncio.sleep(0.1)
    threads = [threads_of(ecosystem, instance) for instance in ecosystem.instances]
    assert max(threads) < 60, threads
    purchases = [Purchase(name, body_of(name)) for name in ids]
    await asyncio.gather(*(shoppers.post(ecosystem.url, purchase) for purchase in purchases))
    for number, answer in enumerate(await asyncio.gather(*questions)):
        assert answer.status == 200
        assert answer.value["id"] == ids[number % IDS]
        assert answer.value["state"] in {"VALIDATED", "CONFIRMED"}, answer.value
    assert [await waiting_at(url) for url in urls] == [0] * len(urls)
    return [first, *purchases]


async def waiting_at(url: str) -> int:
    """Waiters in that instance, not those that it passed on."""
    text = (await http.request("GET", f"{url}/metrics")).body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith("orders_waiting_requests ")]
    return int(float(line.split()[1]))


def threads_of(ecosystem: Ecosystem, instance: str) -> int:
    return len(list(Path(f"/proc/{ecosystem.services.pid('orders', instance)}/task").iterdir()))


async def time_out(ecosystem: Ecosystem) -> None:
    """Orders that nobody posts, and one that exists but will never be COMPLETED by itself."""
    started = time.monotonic()
    answers = await asyncio.gather(
        *(
            http.request("GET", f"{ecosystem.url()}/orders/nobody-{number}?timeout=300")
            for number in range(30)
        )
    )
    assert {answer.status for answer in answers} == {504}
    refused = await http.request("GET", f"{ecosystem.url()}/orders/nobody?timeout=soon")
    assert refused.status == 400 and "timeout" in refused.value["reason"]
    assert 0.3 <= time.monotonic() - started < 60
    for instance in ecosystem.instances:
        assert await waiting_at(ecosystem.url(instance)) == 0


async def too_large(ecosystem: Ecosystem) -> None:
    """Refused, also where the body has no end, and forgotten."""
    url = f"{ecosystem.url()}/orders"
    for size in (100_000, 900_000):
        body = json.dumps(body_of("large") | {"product": "x" * size}).encode()
        assert (await http.request("POST", url, body)).status == 413
    assert await http.send_without_end("POST", url, ENDLESS) < ENDLESS
    assert (await http.request("GET", f"{url}/large?timeout=0")).status == 504


async def move_partitions(ecosystem: Ecosystem) -> list[Purchase]:
    """While an instance joins and one is killed: two rivals for each id, and the winner is read back elsewhere."""
    over = False
    done: list[Purchase] = []

    async def rival() -> None:
        while not over:
            order_id = f"moving-{len(done)}"
            pair = [Purchase(order_id, body_of(order_id, quantity)) for quantity in (1, 2)]
            done.extend(pair)
            await asyncio.gather(*(shoppers.post(ecosystem.url, purchase) for purchase in pair))
            assert sorted(purchase.status for purchase in pair) == [201, 409], pair
            await read_back(next(purchase for purchase in pair if purchase.status == 201))
            await asyncio.sleep(0.05)

    async def read_back(winner: Purchase) -> None:
        started = time.monotonic()
        try:
            url = await asyncio.to_thread(ecosystem.url)
            path = f"{url}/orders/{winner.order_id}?timeout={MOVING_TIMEOUT_MS}"
            answer = await http.request("GET", path, timeout_s=MOVING_TIMEOUT_MS / 1000 + 30)
        except (OSError, ValueError, NotReady):
            return  # that instance was killed
        assert time.monotonic() - started < MOVING_TIMEOUT_MS / 1000 + 20
        if answer.status == 200:
            assert winner.is_of(answer.value)
        else:
            assert answer.status in {503, 504}

    rivals = [asyncio.create_task(rival()) for _ in range(4)]
    await asyncio.sleep(1)
    added = await asyncio.to_thread(ecosystem.add_instance)
    await asyncio.to_thread(ecosystem.services.url, "orders", added)
    await asyncio.sleep(3)
    ecosystem.instances.remove("1")
    await asyncio.to_thread(ecosystem.services.remove, "orders", "1", kill=True)
    await all_served(ecosystem)  # once the session of the one that was killed has ended
    while len(done) <= 20 and not any(task.done() for task in rivals):
        await asyncio.sleep(0.1)
    over = True
    await asyncio.gather(*rivals)
    return done


async def documentation(ecosystem: Ecosystem) -> None:
    described = (await http.request("GET", f"{ecosystem.url()}/openapi.json")).value["paths"]
    assert described.keys() >= {"/orders", "/orders/{order_id}", "/orders/validated/{order_id}"}
    parameters = described["/orders/validated/{order_id}"]["get"]["parameters"]
    assert {parameter["name"] for parameter in parameters} == {"order_id", "timeout"}
    assert not [path for path in described if "internal" in path]


async def stop_while_waiting(ecosystem: Ecosystem) -> None:
    """Who waits at an instance that is stopped, or through it at another, is sent elsewhere."""
    url = ecosystem.url("2")
    waiting = [
        asyncio.create_task(http.request("GET", f"{url}/orders/never-{number}?timeout=60000"))
        for number in range(30)
    ]
    urls = [ecosystem.url(instance) for instance in ecosystem.instances]
    while sum([await waiting_at(each) for each in urls]) < len(waiting):
        assert not any(question.done() for question in waiting)
        await asyncio.sleep(0.1)
    ecosystem.instances.remove("2")
    await asyncio.to_thread(ecosystem.services.remove, "orders", "2")
    assert {answer.status for answer in await asyncio.gather(*waiting)} == {503}
    await all_served(ecosystem)


async def all_served(ecosystem: Ecosystem) -> None:
    """A look at all orders waits until each partition has an owner."""
    answer = await http.request("GET", f"{ecosystem.url()}/orders?limit=1&timeout=60000", timeout_s=65)
    assert answer.status == 200


async def rebuild(ecosystem: Ecosystem, count: int) -> None:
    """Each view read anew while it serves: every order stays visible."""
    for instance in ecosystem.instances:
        answer = await http.request("POST", f"{ecosystem.url(instance)}/view/rebuild")
        assert answer.status == 202
    rebuilt: set[str] = set()
    while len(rebuilt) < len(ecosystem.instances):
        for instance in ecosystem.instances:
            answer = await http.request("GET", f"{ecosystem.url(instance)}/orders?limit=1000")
            assert answer.status == 200 and len(json.loads(answer.body)) == count
            if ecosystem.services.has_logged("orders", instance, "view rebuilt"):
                rebuilt.add(instance)

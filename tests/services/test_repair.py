"""Goal: what a bug did can be undone from the log. Method: services with planted bugs, then their corrected selves.

Dead letters: a service stumbles over some orders, is put right, and is told to try again. Rewinding (ch. 7): the
Orders Service misreads times, is put right, meets its commands again from the first on, and publishes corrections;
nothing is done twice.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.services import http_client as http
from tests.services import shoppers
from tests.services.ecosystem import PYTHON, Ecosystem, until_stocked
from tests.services.judge import Judge
from tests.services.shoppers import Purchase
from tests.services.smtp_sink import SmtpSink
from tests.support.patience import wait_until, wait_until_async

HOUR_MS = 3_600_000
UNREADABLE_PRICE = 7.77  # see planted.py
pytestmark = [pytest.mark.services, pytest.mark.slow]


def with_bug(bug: str) -> list[str]:
    return [str(PYTHON), "-m", "tests.services.planted", bug]


@pytest.mark.timeout(500)
def test_repair(tmp_path: Path) -> None:
    # Sessions outlast the test: an instance that is stopped has to leave, or nobody gets its partitions in time.
    session = {"session_timeout_ms": "120000"}
    with Ecosystem(tmp_path, stock={"pen": 10**6}, customers=shoppers.CUSTOMERS, **session) as ecosystem:
        until_stocked(ecosystem)
        done = try_dead_letters_again(ecosystem)
        done += rewind(ecosystem)
        judge = Judge(ecosystem.broker.bootstrap)
        judge.wait({purchase.order_id for purchase in done}, 60)
        judge.check_log()
        histories = judge.histories()
        for purchase in done:
            corrections = [event for event in histories[purchase.order_id] if "corrects" in event]
            assert len(corrections) == (1 if purchase.order_id.startswith("zone") else 0)
        send_mails(ecosystem, {f"<order-{purchase.order_id}@orders.example>" for purchase in done})
        assert not [history for history in histories.values() if history[-1]["state"] != "CONFIRMED"]


def send_mails(ecosystem: Ecosystem, message_ids: set[str]) -> None:
    """By a mail server that refuses at first, from a process that is killed after the first: each at least once."""
    sink = SmtpSink(refuse_first=2, one_alone=True)
    ecosystem.services.start("mailer", smtp=sink.address)
    wait_until(lambda: bool(sink.message_ids))
    ecosystem.services.kill("mailer")
    sink.go_on.set()
    wait_until(lambda: sink.message_ids.keys() == message_ids, lambda: sink.message_ids)
    sink.close()


def bodies(name: str, count: int, **more: Any) -> list[Purchase]:
    body = {"customerId": "customer-1", "product": "pen", "quantity": 1, "price": 0.5, **more}
    return [Purchase(f"{name}-{number}", {"id": f"{name}-{number}", **body}) for number in range(count)]


async def post_all(ecosystem: Ecosystem, purchases: list[Purchase]) -> None:
    await asyncio.gather(*(shoppers.post(ecosystem.url, purchase) for purchase in purchases))
    assert {purchase.status for purchase in purchases} == {201}


async def states_of(ecosystem: Ecosystem, purchases: list[Purchase], timeout_ms: int) -> list[Any]:
    """Once decided; the status of the answer where that was not in time."""

    async def get(purchase: Purchase) -> Any:
        path = f"{ecosystem.url()}/orders/validated/{purchase.order_id}?timeout={timeout_ms}"
        answer = await http.request("GET", path)
        return answer.value if answer.status == 200 else answer.status

    return await asyncio.gather(*(get(purchase) for purchase in purchases))


def try_dead_letters_again(ecosystem: Ecosystem) -> list[Purchase]:
    ecosystem.services.remove("details")
    ecosystem.services.start("details", command=with_bug("unreadable-price"))
    stumbled_over = bodies("stumble", 5, price=UNREADABLE_PRICE)
    others = bodies("fine", 5)
    asyncio.run(post_all(ecosystem, stumbled_over + others))
    assert {order["state"] for order in asyncio.run(states_of(ecosystem, others, 30_000))} <= {
        "VALIDATED",
        "CONFIRMED",
    }
    assert set(asyncio.run(states_of(ecosystem, stumbled_over, 500))) == {504}
    wait_until(lambda: ecosystem.run("dead_letters", "list").count("what a price") == 5)
    ecosystem.services.remove("details")
    ecosystem.services.start("details")
    assert "details: 5 sent back" in ecosystem.run("dead_letters", "reprocess")
    assert "details: 0 sent back" in ecosystem.run("dead_letters", "reprocess")
    decided = asyncio.run(states_of(ecosystem, stumbled_over, 30_000))
    assert {order["state"] for order in decided} <= {"VALIDATED", "CONFIRMED"}
    return stumbled_over + others


def rewind(ecosystem: Ecosystem) -> list[Purchase]:
    instances = list(ecosystem.instances)
    for instance in instances:
        ecosystem.services.remove("orders", instance)
        ecosystem.services.start("orders", instance, command=with_bug("wrong-time-zone"))
    wrong = bodies("zone", 10)
    asyncio.run(post_all(ecosystem, wrong))
    corrupted = asyncio.run(states_of(ecosystem, wrong, 30_000))
    ahead = time.time() * 1000 + HOUR_MS / 2
    assert all(order["createdAt"] > ahead for order in corrupted)

    for instance in instances:
        ecosystem.services.remove("orders", instance)
    ecosystem.run("rewind", "orders", "order-commands")
    for instance in instances:
        ecosystem.services.start("orders", instance)
    asyncio.run(until_corrected(ecosystem, wrong, ahead))
    return wrong


async def until_corrected(ecosystem: Ecosystem, wrong: list[Purchase], ahead: float) -> None:
    """In every view, and still so after the view was read anew beside the old one."""
    for instance in ecosystem.instances:
        await http.request("POST", f"{ecosystem.url(instance)}/view/rebuild")

    async def is_corrected() -> bool:
        orders = await states_of(ecosystem, wrong, 30_000)
        rebuilt = all(
            ecosystem.services.has_logged("orders", instance, "view rebuilt")
            for instance in ecosystem.instances
        )
        return rebuilt and all(order["createdAt"] < ahead for order in orders)

    await wait_until_async(is_corrected)

"""Goal: whatever is sent, by HTTP or into a topic that anybody may write, is answered or set aside, and the next one is
served. Method: the ecosystem, ids that are none, sums beyond bounds, records that no other record can hold.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer

from tests.services import http_client as http
from tests.services import shoppers
from tests.services.ecosystem import Ecosystem
from tests.services.smtp_sink import SmtpSink
from tests.support.patience import wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.mark.timeout(240)
def test_odd_input(tmp_path: Path) -> None:
    with Ecosystem(tmp_path, stock={"pen": 10**6}, customers=shoppers.CUSTOMERS) as ecosystem:
        write_large_commands(ecosystem)
        asyncio.run(ids(ecosystem))
        asyncio.run(large_sums(ecosystem))
        asyncio.run(who_goes_away(ecosystem))
        mails(ecosystem)
        write_what_is_no_dead_letter(ecosystem)
        letters = ecosystem.run("dead_letters", "list")
        assert letters.count("too large to be kept here") == 3
        assert "orders: 0 sent back" in ecosystem.run("dead_letters", "reprocess", "service=orders")
        for path in (tmp_path / "logs").glob("*.log"):
            written = path.read_text()
            assert "MSG_SIZE_TOO_LARGE" not in written and "Traceback" not in written, path


def body_of(order_id: str, **more: Any) -> bytes:
    order = {"id": order_id, "customerId": "customer-1", "product": "pen", "quantity": 1, "price": 0.5}
    return json.dumps(order | more).encode()


def write_large_commands(ecosystem: Ecosystem) -> None:
    """As large as the topic takes, in each of its partitions: what they lead to is larger."""
    command = b'{"type":"CREATE","receivedAt":1,"order":' + body_of("long") + b"}"
    long_price = command.replace(b"0.5", b"0.5" + b"0" * 850_000)
    settings = {"compression.type": "gzip", "message.max.bytes": 10_000_000, "log_level": 3}
    bomb = Producer({"bootstrap.servers": ecosystem.broker.bootstrap, **settings})
    for number, value in enumerate((b"x" * 900_000, long_price, b"x" * 5_000_000)):
        bomb.produce("order-commands", value, b"long", number)
        assert bomb.flush(30) == 0


def write_what_is_no_dead_letter(ecosystem: Ecosystem) -> None:
    producer = Producer({"bootstrap.servers": ecosystem.broker.bootstrap, "log_level": 3})
    place = {"service": "orders", "topic": "orders", "offset": 1, "timestamp": 1, "reason": "forged"}
    for value in ({}, {**place, "partition": 10**23}, {**place, "partition": 10**6}):
        value |= {"key": None, "value": None}
        producer.produce("dead-letters", json.dumps(value).encode(), partition=0)
    assert producer.flush(30) == 0


async def ids(ecosystem: Ecosystem) -> None:
    """Through each instance: most ask another one."""
    urls = [ecosystem.url(instance) for instance in ecosystem.instances]
    for number in range(6):
        order_id = f"o{number}"
        assert (await http.request("POST", f"{ecosystem.url()}/orders", body_of(order_id))).status == 201
        for url in urls:
            answer = await http.request("GET", f"{url}/orders/{order_id}?timeout=30000")
            assert answer.status == 200 and answer.value["id"] == order_id
            for other in (f"{order_id}%3Fx", f"{order_id}%23x", f"%256f{number}", f"x%2F..%2F{order_id}"):
                answer = await http.request("GET", f"{url}/orders/{other}?timeout=100")
                assert answer.status in (404, 504), answer.body
    for refused in (".", "..", "new\n"):
        answer = await http.request("POST", f"{urls[0]}/orders", body_of(refused))
        assert answer.status == 400, answer


async def large_sums(ecosystem: Ecosystem) -> None:
    """A price and a count, each as high as it may be: accepted, and decided."""
    body = body_of("dear", quantity=2**31 - 1, price=999_999_999_999)
    assert (await http.request("POST", f"{ecosystem.url()}/orders", body)).status == 201
    answer = await http.request("GET", f"{ecosystem.url()}/orders/validated/dear?timeout=30000")
    assert answer.status == 200 and answer.value["state"] == "FAILED"


async def who_goes_away(ecosystem: Ecosystem) -> None:
    """In the middle of a request, which is no error of the service."""
    parts = urlsplit(ecosystem.url())
    _reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b'POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"id":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    answer = await http.request("POST", f"{ecosystem.url()}/orders", body_of("last"))
    assert answer.status == 201


def mails(ecosystem: Ecosystem) -> None:
    """To addresses that are none: they hold nobody else's mail up."""
    sink = SmtpSink()
    producer = Producer({"bootstrap.servers": ecosystem.broker.bootstrap, "log_level": 3})
    for number, address in enumerate(
        ("a@example.org\nBcc: b@example.org", "\u00e9@example.org", "c@example.org")
    ):
        mail = {
            "messageId": f"<mail-{number}@test>",
            "orderId": "o",
            "paymentId": "p",
            "to": address,
            "level": "GOLD",
            "subject": "s",
            "body": "b",
        }
        producer.produce("outbox-emails", json.dumps(mail).encode(), b"o", 0)
    assert producer.flush(30) == 0
    ecosystem.services.start("mailer", smtp=sink.address)
    wait_until(lambda: "<mail-2@test>" in sink.message_ids, lambda: sink.message_ids)
    assert not sink.message_ids.keys() & {"<mail-0@test>", "<mail-1@test>"}
    sink.close()

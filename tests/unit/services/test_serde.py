"""Goal: values come back as they were, and bytes that are none are refused with a reason, whatever they are."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orders import handling, serde, topics
from services.orders.rules import lifecycle
from services.orders.schemas import (
    CheckType,
    CreateOrder,
    DeadLetter,
    GoodsReceived,
    Order,
    OrderedProduct,
    OrderRequest,
    OrderState,
    OrderValidation,
    Payment,
    ReceivedProduct,
    Result,
    ShipOrder,
)
from services.runtime.records import Record, Unprocessable
from services.runtime.store import StateStore
from services.runtime.turn import Turn

ORDER = Order("1", "ann", OrderState.FAILED, "pen", 2, Decimal("1.50"), 1000, 2, ("FRAUD_CHECK: much",))
REQUEST = OrderRequest("1", "ann", "pen", 2, Decimal("1.50"))


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (topics.ORDERS, ORDER),
        (topics.ORDER_COMMANDS, CreateOrder(5, REQUEST)),
        (topics.ORDER_COMMANDS, ShipOrder("1", 5)),
        (topics.ORDER_VALIDATIONS, OrderValidation("1", CheckType.FRAUD_CHECK, Result.PASS)),
        (topics.PRODUCT_EVENTS, OrderedProduct(ORDER)),
        (topics.PRODUCT_EVENTS, ReceivedProduct(GoodsReceived("d", "pen", 3))),
        (
            topics.DEAD_LETTERS,
            DeadLetter("fraud", "orders", 1, 2, 3, "no", None, b"\xff\x00", (("h", None),)),
        ),
    ],
)
def test_round_trip(topic: str, value: Order) -> None:
    assert serde.decode(topic, serde.encode(topic, value)) == value


def test_money_stays_exact() -> None:
    assert b'"price":1.50' in serde.encode(topics.ORDERS, ORDER)
    assert serde.decode(topics.ORDERS, serde.encode(topics.ORDERS, ORDER)).amount == Decimal("3.00")


def test_fields_of_later_writers_are_passed_over_in_events() -> None:
    data = serde.encode(topics.ORDERS, ORDER).replace(b'{"id"', b'{"later":{"x":1},"id"')
    assert serde.decode(topics.ORDERS, data) == ORDER


def test_whatever_is_accepted_can_be_read_as_an_order() -> None:
    """Each field is in its bounds, and so is what follows from them."""
    request = serde.decode_request(
        b'{"id":"...","customerId":"ann","product":"pen","quantity":2147483647,"price":999999999999.99}'
    )
    order = lifecycle.created_order(CreateOrder(5, request))
    assert serde.decode(topics.ORDERS, serde.encode(topics.ORDERS, order)) == order
    payment = Payment("pay", order.id, "EUR", order.amount)
    assert serde.decode(topics.PAYMENTS, serde.encode(topics.PAYMENTS, payment)) == payment


BODY = b'{"id":"1","customerId":"ann","product":"pen","quantity":2,"price":1.5}'


def test_a_request() -> None:
    assert serde.decode_request(BODY) == REQUEST
    assert serde.decode_request(BODY[:-1] + b',"createdAt":7}').created_at == 7


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"quantity":2', b'"quantity":"2"'),
        (b'"quantity":2', b'"quantity":2.5'),
        (b'"quantity":2', b'"quantity":99999999999'),
        (b'"price":1.5', b'"price":1.505'),
        (b'"price":1.5', b'"price":"NaN"'),
        (b'"price":1.5', b'"price":1e999999999'),
        (b'"price":1.5', b'"price":1000000000000'),
        (b'"id":"1"', b'"id":""'),
        (b'"price":1.5', b'"price":1.500000000000000000000'),
        (b'"id":"1"', b'"id":"a/b"'),
        (b'"id":"1"', b'"id":"."'),
        (b'"id":"1"', b'"id":".."'),
        (b'"id":"1"', b'"id":"1\\n"'),
        (b'"id":"1"', b'"id":1'),
        (b'"product"', b'"produkt"'),
        (b"}", b""),
        (b"ann", b"\xff"),
    ],
)
def test_what_is_no_request(was: bytes, becomes: bytes) -> None:
    with pytest.raises(serde.Unreadable):
        serde.decode_request(BODY.replace(was, becomes))


@given(st.sampled_from(sorted(serde.SCHEMAS)), st.binary(max_size=200))
def test_bytes_raise_nothing_else(topic: str, data: bytes) -> None:
    try:
        serde.decode(topic, data)
    except serde.Unreadable as error:
        assert str(error)


@pytest.mark.parametrize("depth", [10, 100_000])
def test_depth_is_no_danger(depth: int) -> None:
    with pytest.raises(serde.Unreadable):
        serde.decode(topics.ORDERS, b'{"id":' * depth)


def test_a_dead_letter_finds_its_place_again() -> None:
    record = Record("orders", 3, 17, 99, b"k", b"\xffnot json", (("trace", b"1"),))
    letter = DeadLetter("fraud", *record[:4], "not json", record.key, record.value, record.headers)
    topic, partition, headers = handling.retry_of(letter)
    assert (topic, partition) == ("fraud-retries", 3)
    encoded = tuple((name, value.encode() if isinstance(value, str) else value) for name, value in headers)
    again = Record(topic, partition, 0, 1234, letter.key, letter.value, encoded)
    assert handling.original(again) == record
    with pytest.raises(serde.Unreadable):  # it would be set aside, and sent back, somewhere else
        handling.original(again._replace(partition=2))


@pytest.mark.parametrize("size", [600_000, 700_000])
def test_of_a_dead_letter_that_is_too_large_the_place_is_kept(size: int) -> None:
    record = Record("orders", 3, 17, 99, b"k", b"\xff" * size, (("trace", b"1"),))
    turn = Turn(3, None)
    handling.topology("fraud", {}).dead_letter(record, "not json", turn)
    (emitted,) = turn.emitted
    letter = serde.decode(topics.DEAD_LETTERS, emitted.value)
    assert letter.is_whole == (size == 600_000)
    assert letter.value == (record.value if letter.is_whole else None)
    assert (letter.topic, letter.partition, letter.offset) == ("orders", 3, 17)


def test_a_record_that_no_topic_takes_is_refused(tmp_path: Path) -> None:
    """When it is put or emitted, and not when it is committed: it would be tried for ever."""
    turn = Turn(0, StateStore(tmp_path / "0.sqlite", "topic"))
    turn.emit("out", b"k" * 100_000, b"v" * 800_000)
    turn.store.put(b"k" * 100_000, b"v" * 800_000)
    with pytest.raises(Unprocessable):
        turn.emit("out", b"k" * 100_000, b"v" * 800_000, headers=(("h", None),))
    with pytest.raises(Unprocessable):
        turn.store.put(b"k" * 100_000, b"v" * 800_001)


def test_every_topic_that_is_read_or_written_has_a_schema() -> None:
    assert {topic.name for topic in topics.TABLE} == set(serde.SCHEMAS)

"""Bytes to values and back: the one place that knows how a topic's values are written.

Today that is JSON by the schema declared for the topic. A schema registry would come in here, and only here: `encode`
and `decode` already know the topic, which is what a registry's subjects are named after.

Keys are plain UTF-8.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar, cast

import msgspec

from services.orders import schemas, topics
from services.runtime.records import Unprocessable

T = TypeVar("T")

_MONEY_DIGITS = {"price": 12, "amount": 22}  # before the point: an amount is a price times a count
_PLACES_MOST = 20  # those beyond two are zeros
_encoder = msgspec.json.Encoder(decimal_format="number")


class Unreadable(Unprocessable):
    """The bytes are not a value of the topic's schema. The text says why."""


SCHEMAS: dict[str, Any] = {
    topics.ORDER_COMMANDS: schemas.OrderCommand,
    topics.ORDERS: schemas.Order,
    topics.ORDERS_BY_CUSTOMER: schemas.Order,
    topics.ORDERS_INSTANCES: schemas.InstanceClaim,
    topics.ORDER_VALIDATIONS: schemas.OrderValidation,
    topics.PAYMENTS: schemas.Payment,
    topics.PAYMENTS_BY_ORDER: schemas.Payment,
    topics.CUSTOMERS: schemas.Customer,
    topics.GOODS_RECEIVED: schemas.GoodsReceived,
    topics.PRODUCT_EVENTS: schemas.ProductEvent,
    topics.WAREHOUSE_INVENTORY: schemas.StockCount,
    topics.AUTHORIZATION_ATTEMPTS: schemas.AuthorizationAttempt,
    topics.POSSIBLE_FRAUD: schemas.PossibleFraud,
    topics.OUTBOX_EMAILS: schemas.Mail,
    topics.PLATINUM_EMAILS: schemas.Mail,
    topics.DEAD_LETTERS: schemas.DeadLetter,
}
_decoders = {topic: msgspec.json.Decoder(schema) for topic, schema in SCHEMAS.items()}
_request_decoder = msgspec.json.Decoder(schemas.OrderRequest)


def encode(topic: str, value: schemas.Event) -> bytes:
    assert topic in SCHEMAS, topic
    return _encoder.encode(value)


def decode(topic: str, data: bytes | None) -> Any:
    """A value of the schema that is declared for the topic. Raises Unreadable."""
    if data is None:
        raise Unreadable("no value")
    return _checked(_decoders[topic], data)


def decode_request(data: bytes) -> schemas.OrderRequest:
    """The body of a POST. Raises Unreadable."""
    return cast(schemas.OrderRequest, _checked(_request_decoder, data))


def encode_state(value: object) -> bytes:
    """What a service keeps in its store: private to it, so without a declared topic."""
    return _encoder.encode(value)


def decode_state(data: bytes, kind: type[T]) -> T:
    return msgspec.json.decode(data, type=kind)


def text_key(key: bytes | None) -> str:
    """Raises Unreadable."""
    if not key:
        raise Unreadable("no key")
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise Unreadable("the key is not UTF-8") from None


def _checked(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    try:
        value = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from None
    _check_money(value)
    return value


def _check_money(value: schemas.Event) -> None:
    """Two places, and a size that arithmetic stays exact with. Of what is written, not of what follows from it."""
    for name, digits in _MONEY_DIGITS.items():
        money = getattr(value, name) if name in value.__struct_fields__ else None
        if isinstance(money, Decimal) and not _is_money(money, digits):
            raise Unreadable(f"{name} is not an amount with at most two decimal places: {str(money)[:40]}")
    if isinstance(value, schemas.CreateOrder | schemas.OrderedProduct):
        _check_money(value.order)


def _is_money(amount: Decimal, digits: int) -> bool:
    # The exponent is looked at first: 1e999999999 must not be written out to be compared.
    return (
        amount.is_finite()
        and amount.adjusted() < digits
        and amount.as_tuple().exponent >= -_PLACES_MOST  # type: ignore[operator]
        and amount == amount.quantize(Decimal("0.01"))
    )

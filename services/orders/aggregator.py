"""The writing half of the Orders Service: decides commands, gathers validations and payments, publishes orders.

The only writer of `orders`. An order's id decides the partition, and so the instance; of two commands for one id the
first in the log wins, whichever instances wrote them there. Rules: rules/lifecycle.py.
"""

from __future__ import annotations

import logging

from services.orders import serde, topics
from services.orders.handling import ValueHandler, publish, topology
from services.orders.rules import lifecycle
from services.orders.rules.lifecycle import OrderRecord, Outcome
from services.orders.schemas import CreateOrder, OrderCommand, OrderState, OrderValidation, Payment
from services.orders.settings import Settings
from services.runtime import metrics
from services.runtime.logs import log
from services.runtime.records import Record, Unprocessable
from services.runtime.topology import Context, Topology

_DEADLINE = "deadline|"


def build(settings: Settings) -> Topology:
    def on_command(command: OrderCommand, record: Record, context: Context) -> None:
        order_id = command.order.id if isinstance(command, CreateOrder) else command.id
        if serde.text_key(record.key) != order_id:
            raise serde.Unreadable(f"the key is not the order's id {order_id!r}")
        outcome = lifecycle.decide(
            command,
            _known(context, order_id),
            offset=record.offset,
            now_ms=context.now_ms,
            window_ms=settings.check_window_ms,
        )
        _apply(outcome, order_id, context)

    handlers: dict[str, ValueHandler] = {
        topics.ORDER_COMMANDS: on_command,
        topics.ORDER_VALIDATIONS: _on_validation,
        topics.PAYMENTS: _rekey_payment,
        topics.PAYMENTS_BY_ORDER: _on_payment,
    }
    return topology("orders", handlers, on_tick=_on_tick)


def _on_validation(validation: OrderValidation, _record: Record, context: Context) -> None:
    record = _known(context, validation.order_id)
    if record is None:
        raise Unprocessable(f"there is no order {validation.order_id!r}")
    _apply(lifecycle.on_validation(record, validation), validation.order_id, context)


def _rekey_payment(payment: Payment, record: Record, context: Context) -> None:
    publish(context, topics.PAYMENTS_BY_ORDER, payment.order_id, payment, timestamp_ms=record.timestamp_ms)


def _on_payment(payment: Payment, _record: Record, context: Context) -> None:
    record = _known(context, payment.order_id)
    if record is None:
        raise Unprocessable(f"there is no order {payment.order_id!r}")
    outcome = lifecycle.on_payment(record, payment)
    if outcome.refusal:
        raise Unprocessable(outcome.refusal)
    _apply(outcome, payment.order_id, context)


def _on_tick(context: Context) -> None:
    for key, _nothing in context.store.scan(_DEADLINE.encode()):
        _, deadline, order_id = key.decode().split("|", 2)
        if int(deadline) > context.now_ms:
            return
        record = _known(context, order_id)
        assert record is not None
        _apply(lifecycle.on_deadline(record, context.now_ms), order_id, context)


def _known(context: Context, order_id: str) -> OrderRecord | None:
    data = context.store.get(f"order|{order_id}".encode())
    return None if data is None else serde.decode_state(data, OrderRecord)


def _apply(outcome: Outcome, order_id: str, context: Context) -> None:
    record = outcome.record
    if outcome.refusal:
        log(__name__, "refused", level=logging.WARNING, order=order_id, reason=outcome.refusal)
        context.after_commit(metrics.EVENTS.labels("refused").inc)
    if record is None:
        return
    context.store.put(f"order|{order_id}".encode(), serde.encode_state(record))
    if not outcome.publish:
        return
    order = record.order
    publish(context, topics.ORDERS, order_id, order)
    context.after_commit(metrics.EVENTS.labels(order.state.value).inc)
    if order.corrects is None:
        is_open = order.state is OrderState.CREATED
        deadline = f"{_DEADLINE}{record.deadline_ms:015}|{order_id}".encode()
        if is_open or context.store.get(deadline) is not None:
            context.store.put(deadline, b"1" if is_open else None)

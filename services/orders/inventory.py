"""Inventory Service: reserves stock for orders. It alone writes stock, so that what is reserved never exceeds it.

orders, goods-received → rekeyed to the product, in one topic, whose order decides who gets the last item
→ stock and reservation in the state, and the result on the order's id, in one transaction.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.orders import serde, topics
from services.orders.handling import ValueHandler, publish, topology
from services.orders.process import main
from services.orders.rules import inventory
from services.orders.rules.inventory import Stock
from services.orders.schemas import (
    GoodsReceived,
    Order,
    OrderedProduct,
    OrderState,
    ProductEvent,
    ReceivedProduct,
    StockCount,
)
from services.orders.settings import Settings
from services.runtime.records import Record
from services.runtime.store import StateStore
from services.runtime.topology import Context, Topology

_RELEVANT = (OrderState.CREATED, OrderState.FAILED, OrderState.COMPLETED)


def build(_settings: Settings) -> Topology:
    handlers: dict[str, ValueHandler] = {
        topics.ORDERS: _rekey_order,
        topics.GOODS_RECEIVED: _rekey_goods,
        topics.PRODUCT_EVENTS: _on_product_event,
    }
    return topology("inventory", handlers)


def _rekey_order(order: Order, record: Record, context: Context) -> None:
    if order.state in _RELEVANT:
        event = OrderedProduct(order)
        publish(context, topics.PRODUCT_EVENTS, order.product, event, timestamp_ms=record.timestamp_ms)


def _rekey_goods(goods: GoodsReceived, record: Record, context: Context) -> None:
    event = ReceivedProduct(goods)
    publish(context, topics.PRODUCT_EVENTS, goods.product, event, timestamp_ms=record.timestamp_ms)


def _on_product_event(event: ProductEvent, _record: Record, context: Context) -> None:
    match event:
        case OrderedProduct(order):
            _on_order(order, context)
        case ReceivedProduct(goods):
            _on_goods(goods, context)


def _on_order(order: Order, context: Context) -> None:
    store = context.store
    stock = _stock(store, order.product)
    key = f"reservation|{order.id}".encode()
    held = int(store.get(key) or 0)
    decision = inventory.on_order(order, stock, held)
    if decision.reservation != held:
        store.put(key, str(decision.reservation).encode() if decision.reservation else None)
    if decision.validation is not None:
        publish(context, topics.ORDER_VALIDATIONS, order.id, decision.validation)
    if decision.stock is not None and decision.stock != stock:
        _keep(decision.stock, stock, order.product, context)


def _on_goods(goods: GoodsReceived, context: Context) -> None:
    """A delivery note counts once, however often it is sent."""
    key = f"delivery|{goods.id}".encode()
    if context.store.get(key) is not None:
        return
    context.store.put(key, b"1")
    stock = _stock(context.store, goods.product)
    _keep(inventory.on_goods(goods.quantity, stock), stock, goods.product, context)


def _stock(store: StateStore, product: str) -> Stock | None:
    data = store.get(f"stock|{product}".encode())
    return None if data is None else serde.decode_state(data, Stock)


def _keep(stock: Stock, before: Stock | None, product: str, context: Context) -> None:
    context.store.put(f"stock|{product}".encode(), serde.encode_state(stock))
    if before is None or before.count != stock.count:
        publish(context, topics.WAREHOUSE_INVENTORY, product, StockCount(product, stock.count))


def run(arguments: Sequence[str]) -> int:
    return main("inventory", build, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

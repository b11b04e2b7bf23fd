"""What must come out, worked out one record after the other from the order that the rekeyed topics have.

On purpose not the services' code: plain dicts over decoded JSON, written from the rules. Where the outcome depends on
who came first, the topic says who did.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from tests.services.recording import Recording

HOUR_MS = 3_600_000
FIVE_MINUTES_MS = 300_000
CHECKS = ("FRAUD_CHECK", "INVENTORY_CHECK", "ORDER_DETAILS_CHECK")


def fraud(recording: Recording, limit: Decimal) -> dict[str, str]:
    """Result by order."""
    totals: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    results: dict[str, str] = {}
    for records in recording.partitions("fraud-orders-by-customer"):
        for record in records:
            order = record.json
            assert order["id"] not in results, f"rekeyed twice: {order}"
            window = (order["customerId"], order["createdAt"] // HOUR_MS)
            totals[window] += max(Decimal(order["quantity"]) * Decimal(order["price"]), Decimal(0))
            results[order["id"]] = "FAIL" if totals[window] >= limit else "PASS"
    return results


class Warehouse(NamedTuple):
    results: dict[str, str]
    stock: dict[str, int]
    reserved: dict[str, int]


def inventory(recording: Recording) -> Warehouse:
    """Never more reserved than there is, after any event."""
    stock: dict[str, int] = {}
    held: dict[str, tuple[str, int]] = {}
    reserved: Counter[str] = Counter()
    results: dict[str, str] = {}
    deliveries: set[str] = set()
    for records in recording.partitions("inventory-product-events"):
        for record in records:
            event = record.json
            if event["type"] == "GOODS":
                goods = event["goods"]
                if goods["id"] not in deliveries:
                    deliveries.add(goods["id"])
                    stock[goods["product"]] = stock.get(goods["product"], 0) + goods["quantity"]
                continue
            order = event["order"]
            product, quantity = order["product"], order["quantity"]
            if "corrects" in order:
                continue
            if order["state"] == "CREATED":
                assert order["id"] not in results, f"rekeyed twice: {order}"
                can = product in stock and 1 <= quantity <= stock[product] - reserved[product]
                results[order["id"]] = "PASS" if can else "FAIL"
                if can:
                    held[order["id"]] = (product, quantity)
                    reserved[product] += quantity
            elif order["id"] in held:
                product, quantity = held.pop(order["id"])
                reserved[product] -= quantity
                if order["state"] == "COMPLETED":
                    stock[product] -= quantity
            assert 0 <= reserved[product] <= stock.get(product, 0), (product, reserved, stock)
    return Warehouse(results, stock, {name: count for name, count in reserved.items() if count})


def details(orders: Iterable[dict[str, Any]]) -> dict[str, str]:
    return {
        order["id"]: "PASS"
        if order["quantity"] >= 1 and order["price"] >= 0 and order["product"] and order["customerId"]
        else "FAIL"
        for order in orders
    }


def decisions(recording: Recording) -> dict[str, tuple[str, tuple[str, ...]]]:
    """State that each order leaves CREATED for, and the reasons, from the order of its validations."""
    passed: dict[str, set[str]] = defaultdict(set)
    decided: dict[str, tuple[str, tuple[str, ...]]] = {}
    for records in recording.partitions("order-validations"):
        for record in records:
            validation = record.json
            order_id, check = validation["orderId"], validation["checkType"]
            if order_id in decided:
                continue
            if validation["result"] == "FAIL":
                decided[order_id] = ("FAILED", (f"{check}: {validation['reason']}",))
                continue
            passed[order_id].add(check)
            if passed[order_id] == set(CHECKS):
                decided[order_id] = ("VALIDATED", ())
    return decided


def card_alerts(recording: Recording) -> Counter[tuple[str, int, int]]:
    """Card, window and count of each alert that must have been raised."""
    counts: Counter[tuple[str, int]] = Counter()
    alerts: Counter[tuple[str, int, int]] = Counter()
    for records in recording.partitions("authorization-attempts"):
        for record in records:
            try:
                attempt = record.json
            except ValueError:
                continue
            window = (attempt["card"], attempt["at"] - attempt["at"] % FIVE_MINUTES_MS)
            counts[window] += 1
            if counts[window] > 3:
                alerts[(*window, counts[window])] += 1
    return alerts

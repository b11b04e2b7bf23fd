"""The shop of the demonstration: what it sells, who buys there, what lies in the warehouse at first."""

from __future__ import annotations

from decimal import Decimal

from services.orders.schemas import Customer, GoodsReceived

PRICES = {
    "espresso-cups": Decimal("18.50"),
    "desk-lamp": Decimal("64.90"),
    "walking-boots": Decimal("139.00"),
    "headphones": Decimal("219.00"),
    "tablet": Decimal("549.00"),
    "road-bike": Decimal("1290.00"),
}
FIRST_STOCK = {
    "espresso-cups": 400,
    "desk-lamp": 250,
    "walking-boots": 200,
    "headphones": 150,
    "tablet": 60,
    "road-bike": 12,
}
_FIRST_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Ken", "Radia", "Leslie", "Frances", "Jim")
_LAST_NAMES = ("Okafor", "Lindqvist", "Moreau", "Tanaka", "Silva", "Novak", "Haddad", "Byrne")
_LEVELS = ("BRONZE", "BRONZE", "SILVER", "BRONZE", "GOLD", "SILVER", "BRONZE", "PLATINUM")


def customers(count: int = 80) -> list[Customer]:
    return [_customer(number) for number in range(count)]


def first_deliveries() -> list[GoodsReceived]:
    return [GoodsReceived(f"first-{name}", name, count) for name, count in FIRST_STOCK.items()]


def _customer(number: int) -> Customer:
    first = _FIRST_NAMES[number % len(_FIRST_NAMES)]
    last = _LAST_NAMES[number // len(_FIRST_NAMES) % len(_LAST_NAMES)]
    return Customer(
        id=f"c{number:03}",
        source="demo",
        version=1,
        first_name=first,
        last_name=last,
        email=f"{first}.{last}@shop.example".lower(),
        address=f"{number + 1} Harbour Street",
        level=_LEVELS[number % len(_LEVELS)],
    )

"""Changes of a customer, refused when they were made on an older version than the one that stands (chapter 11)."""

from __future__ import annotations

from services.orders.schemas import Customer


def conflict(update: Customer, current: Customer | None) -> str:
    """Why the update is refused, or nothing. The first version is 1, each next one is one higher."""
    expected = 1 if current is None else current.version + 1
    if update.version != expected:
        return f"version {update.version} was given, {expected} comes next"
    return ""

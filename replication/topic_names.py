"""Which names a topic may have.

A name becomes a directory on disk and a label of metrics, so the alphabet is narrow; and because metrics turn `.`
into `_`, two names that differ only there would be one: the second is refused.
Source: Kafka clients, Topic.java; KIP-4.
"""

from __future__ import annotations

MAX_NAME_LENGTH = 249
"""Characters. With a partition number and the longest directory suffix the name still fits into 255 bytes."""

GROUP_TOPIC = "__consumer_offsets"
TRANSACTION_TOPIC = "__transaction_state"

INTERNAL_TOPICS = frozenset({GROUP_TOPIC, TRANSACTION_TOPIC, "__share_group_state"})
"""Topics that the broker keeps for itself; clients see them marked `is_internal`."""

METADATA_TOPIC = "__cluster_metadata"
"""The metadata log: lives beside the topics on disk, is none itself, and may be neither created nor deleted."""

_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def topic_name_problem(name: str) -> str | None:
    """Return in words why `name` cannot be a topic's name, or None when it can (INVALID_TOPIC_EXCEPTION)."""
    if not name:
        return "a topic name must not be empty"
    if name in (".", ".."):
        return f"a topic cannot be called {name!r}"
    if len(name) > MAX_NAME_LENGTH:
        return f"a topic name has at most {MAX_NAME_LENGTH} characters, this one has {len(name)}"
    if not _ALPHABET.issuperset(name):
        return f"topic name {name!r} holds characters other than ASCII letters, digits, '.', '_' and '-'"
    return None


def collision_key(name: str) -> str:
    """Return what two topics must not share: the name as metrics show it."""
    return name.replace(".", "_")


def is_internal_topic(name: str) -> bool:
    return name in INTERNAL_TOPICS

"""How a load ends early, but for a refusal by a broker, which is BrokerError."""

from __future__ import annotations


class LoadFailed(Exception):
    """It cannot go on. One line."""

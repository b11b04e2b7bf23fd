"""What all tests of a node in their own process share."""

from __future__ import annotations

import pytest

from logd.handlers import find_coordinator
from tests.support.node import LONG_MS


@pytest.fixture(autouse=True)
def patient_coordinators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks for a coordinator is told where it is, and not to come again because the machine was busy."""
    monkeypatch.setattr(find_coordinator, "_CREATION_WAIT_MS", LONG_MS)

"""The server-side assignors of KIP-848, by the names that clients and `group.consumer.assignors` use."""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.assignors import range as range_assignor
from coordinator.assignors import uniform
from coordinator.assignors.contract import Assign

ASSIGNORS: Mapping[str, Assign] = {
    uniform.NAME: uniform.assign,
    range_assignor.NAME: range_assignor.assign,
}

"""What a producer is told that is not the current one any more."""

from __future__ import annotations

from protocol.errors import ErrorCode


def fenced(code: ErrorCode, version: int, first_version: int) -> ErrorCode:
    """Return the code as clients below `first_version` know it: they have no PRODUCER_FENCED (KIP-588)."""
    if code is ErrorCode.PRODUCER_FENCED and version < first_version:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return code

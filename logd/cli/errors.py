"""How a command ends when it cannot do what it was asked: an exception that becomes one line and an exit code.

Not here: why a broker cannot start (logd.errors), and what brokers answer (protocol.errors).
"""

from __future__ import annotations

from logd.errors import UserError


class CommandError(UserError):
    """It could not be done."""


class UsageError(CommandError):
    """It was asked for wrongly: nothing was tried."""

    exit_code = 2

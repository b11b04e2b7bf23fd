"""How a command ends when it cannot do what it was asked: an exception that becomes one line and an exit code.

Not here: why a broker cannot start (logd.errors), and what brokers answer (protocol.errors).
"""

from __future__ import annotations


class CommandError(Exception):
    """It could not be done. Printed as one line, `message` then `hint`; never with a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(CommandError):
    """It was asked for wrongly: nothing was tried."""

    exit_code = 2

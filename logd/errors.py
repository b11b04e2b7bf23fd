"""Failures that a user of the command line meets: one line that says what is wrong, and what to do about it.

Not here: what a client is told over the wire (protocol.errors) and what storage reports (storage.errors).
Exit codes: 1 it could not be done (port, disk, lock), 2 it was asked for what cannot be (options, properties).
"""

from __future__ import annotations


class UserError(Exception):
    """Printed as one line, `message` then `hint`; never with a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class StartupError(UserError):
    """The broker cannot start."""


class ConfigError(StartupError):
    """A property or an option is wrong."""

    exit_code = 2

"""The broker's loggers and their levels, as clients may see and change them (KIP-412). Nothing of this is kept.

Level names are Kafka's; FATAL is Python's CRITICAL, and TRACE lies below DEBUG. A logger that has no level of its own
has that of the next above it, `root` at the top.
"""

from __future__ import annotations

import logging
from typing import Final

ROOT: Final = "root"
LEVELS: Final = {"FATAL": 50, "ERROR": 40, "WARN": 30, "INFO": 20, "DEBUG": 10, "TRACE": 5}

_OURS: Final = "logd"


def logger_levels() -> dict[str, str]:
    """The level in force of `root`, `logd` and every logger below that, by name."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(f"{_OURS}.")]
    return {name: _level_name(_logger(name).getEffectiveLevel()) for name in (ROOT, _OURS, *sorted(names))}


def set_level(name: str, level: str | None) -> None:
    """Give a logger of `logger_levels` one of LEVELS; None takes its own from it, which `root` cannot do without."""
    _logger(name).setLevel(logging.NOTSET if level is None else LEVELS[level])


def _logger(name: str) -> logging.Logger:
    return logging.getLogger(None if name == ROOT else name)


def _level_name(level: int) -> str:
    return next((name for name, bound in LEVELS.items() if level >= bound), "TRACE")

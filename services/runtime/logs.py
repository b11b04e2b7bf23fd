"""Structured logs: one JSON object a line on standard error, `log("partitions assigned", partitions=[0, 1])`."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any


def set_up(level: str, **bound: str) -> None:
    """`bound` is part of every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(bound))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def log(name: str, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    logging.getLogger(name).log(level, event, extra={"fields": fields})


class _JsonLines(logging.Formatter):
    def __init__(self, bound: dict[str, str]) -> None:
        super().__init__()
        self._bound = bound

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname,
            "logger": record.name,
            **self._bound,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)

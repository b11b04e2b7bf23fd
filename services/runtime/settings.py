"""Settings from a TOML file, the environment and the command line, the later ones winning.

A field `commit_interval_ms` of the settings is `commit_interval_ms` in the file and on the command line, and
`ORDERS_COMMIT_INTERVAL_MS` in the environment. A name that is not there, or a value that does not fit, ends the
start.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

_PREFIX = "ORDERS_"
_FILE = "ORDERS_CONFIG"

T = TypeVar("T", bound="RuntimeSettings")


class BadSettings(Exception):
    """Says which setting, and why."""


class RuntimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What any service needs to run."""

    bootstrap: str = "127.0.0.1:9092"
    # Names this process among those of its service, and its state; stays the same over restarts.
    instance: str = "1"
    state_dir: str = "./orders-state"
    http_host: str = "127.0.0.1"
    # Of health, metrics and API; 0 takes a free one.
    http_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    commit_interval_ms: int = 50  # least time from commit to commit, and most that a result waits for one
    idle_commit_interval_ms: int = 1000  # for offsets of records that led to nothing
    leave_on_stop: bool = True  # so that others go on at once; false: keep the partitions for a quick restart
    session_timeout_ms: int = 6000  # an instance that is silent for so long loses its partitions
    transaction_timeout_ms: int = (
        10_000  # how long a killed instance that does not return can hold up readers
    )
    log_level: str = "INFO"


def load(kind: type[T], arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> T:
    """`arguments` are `name=value` words. Raises BadSettings."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    path = environment.get(_FILE)
    if path:
        values |= _read(path)
    names = {field.name for field in msgspec.structs.fields(kind)}
    for name in names:
        if f"{_PREFIX}{name.upper()}" in environment:
            values[name] = environment[f"{_PREFIX}{name.upper()}"]
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in names:
            raise BadSettings(f"{argument!r} is not a setting; known are {', '.join(sorted(names))}")
        values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(str(error)) from None


def _read(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadSettings(f"{path}: {error}") from None

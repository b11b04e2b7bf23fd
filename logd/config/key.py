"""One row of the configuration table, and how text becomes a typed value.

From the rows come parsing, bounds, `logd serve --help-config`, docs/config.md and the settings that CreateTopics
answers with. Types and their text forms are Kafka's: boolean (true or false in any case), short, int and long
(signed 16, 32 and 64 bits), double, string, list (comma-separated, blanks trimmed, repeated elements once). Rows are
named tuples because the table is built at every start.
Source: Kafka's ConfigDef.java.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

Value: TypeAlias = bool | int | float | str | tuple[str, ...] | None

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
# Bytes in UTF-8: the longest text that every version of DescribeConfigs can answer with.
_TEXT_MAX = 2**15 - 1
_INTEGER_BITS = {"short": 16, "int": 32, "long": 64}


class ConfigValueError(ValueError):
    """The text given for a property is not a value of it. The message names the property and what it takes."""


class ConfigKey(NamedTuple):
    """One property. `default` is a parsed value, None where nothing is set until the user sets it."""

    name: str
    type: str
    default: Value
    doc: str
    low: float | None = None  # inclusive
    high: float | None = None  # inclusive
    exempt: float | None = None  # one value allowed outside the bounds
    choices: tuple[str, ...] = ()  # the only texts allowed; in a list, the only elements
    scope: str = "broker"  # or "topic", or "group"
    dynamic: bool = False  # may change while the broker runs
    since: str = "0.1"
    without_effect: str = ""  # why the broker takes the property and does nothing with it
    synonym: str = ""  # scope topic or group: the broker property that gives the default
    kafka_default: Value = None  # only where `differs` says why ours is another
    differs: str = ""
    ours: bool = False  # Kafka has no such property


def parse_value(key: ConfigKey, text: str) -> Value:
    """Raises ConfigValueError."""
    text = text.strip()
    try:
        is_too_long = len(text) > _TEXT_MAX or len(text.encode()) > _TEXT_MAX
    except UnicodeEncodeError:  # bytes of a command line or an environment, which no client could be told
        raise ConfigValueError(f"the value of {key.name} is not UTF-8: {text!a}") from None
    if is_too_long:
        raise ConfigValueError(f"the value of {key.name} is longer than {_TEXT_MAX} bytes")
    if key.type == "boolean":
        value: Value = _parse_boolean(key, text)
    elif key.type in _INTEGER_BITS:
        value = _parse_integer(key, text)
    elif key.type == "double":
        value = _parse_double(key, text)
    elif key.type == "list":
        value = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    else:
        value = text
    _check_choices(key, value)
    return value


def describe_allowed(key: ConfigKey) -> str:
    """What the property takes, for error texts and the documentation; empty if anything of its type will do."""
    if key.choices:
        return ("any of " if key.type == "list" else "one of ") + ", ".join(key.choices)
    if key.low is not None and key.high is not None:
        bounds = f"{_number(key.low)} to {_number(key.high)}"
        return bounds if key.exempt is None else f"{bounds}, or {_number(key.exempt)}"
    if key.low is not None:
        return f"at least {_number(key.low)}"
    if key.high is not None:
        return f"at most {_number(key.high)}"
    return ""


def format_value(value: Value) -> str:
    """The text form that parse_value reads back; None, a value never set, is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return _format_double(value) if isinstance(value, float) else str(value)


def _parse_boolean(key: ConfigKey, text: str) -> bool:
    lowered = text.lower()
    if lowered not in {"true", "false"}:
        raise ConfigValueError(f"invalid value {text!r} for {key.name}: expected true or false")
    return lowered == "true"


def _parse_integer(key: ConfigKey, text: str) -> int:
    sign, digits = (text[0], text[1:]) if text[:1] in {"-", "+"} else ("", text)
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 20:
        raise ConfigValueError(f"invalid value {text!r} for {key.name}: expected a whole number")
    value = -int(digits) if sign == "-" else int(digits)
    limit = 1 << (_INTEGER_BITS[key.type] - 1)
    if not -limit <= value < limit:
        raise ConfigValueError(f"invalid value {text!r} for {key.name}: outside the range of type {key.type}")
    _check_bounds(key, value)
    return value


def _parse_double(key: ConfigKey, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigValueError(f"invalid value {text!r} for {key.name}: expected a number") from None
    if math.isnan(value):
        raise ConfigValueError(f"invalid value {text!r} for {key.name}: expected a number")
    _check_bounds(key, value)
    return value


def _check_bounds(key: ConfigKey, value: float) -> None:
    if value == key.exempt:
        return
    if (key.low is not None and value < key.low) or (key.high is not None and value > key.high):
        raise ConfigValueError(
            f"invalid value {_number(value)} for {key.name}: must be {describe_allowed(key)}"
        )


def _check_choices(key: ConfigKey, value: Value) -> None:
    if not key.choices:
        return
    for part in value if isinstance(value, tuple) else (value,):
        if part not in key.choices:
            raise ConfigValueError(f"invalid value {part!r} for {key.name}: must be {describe_allowed(key)}")


def _format_double(value: float) -> str:
    """As Java writes it: 0.5, 1.0E7, 1.0E-4, Infinity."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return text
    digits = text.partition("e")[0].replace(".", "").strip("-0")
    mantissa, _, exponent = f"{value:.{max(len(digits) - 1, 1)}e}".partition("e")
    return f"{mantissa}E{int(exponent)}"


def _number(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)

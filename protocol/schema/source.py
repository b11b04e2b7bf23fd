"""Reads the JSON form of a schema, which keeps the published spelling, into descriptors.

    {"name": "X", "kind": "request", "key": 1, "versions": "4-18", "flexible": "12+", "fields": [
      {"name": "TopicId", "type": "uuid", "versions": "13+", "nullable": …, "tag": 0, "tagged": …,
       "default": …, "ignorable": true, "kip": 516, "fields": [… of a struct defined in place …]}],
     "structs": [… structs used from several places …]}

Version ranges are "3", "2-5", "4+" or "none". Ranges are cut to those of the message, and a field that no version
of the message has is left out.
"""

from __future__ import annotations

import re
from typing import Any

from protocol.schema.descriptors import FIXED, VARIABLE, Field, Schema, Struct, VersionRange

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SPELLING = {"KRaft": "Kraft", "2Pc": "_2pc"}


def snake_case(name: str) -> str:
    for written, meant in _SPELLING.items():
        name = name.replace(written, meant)
    return _WORD_START.sub("_", name).lower()


def parse_schema(data: dict[str, Any]) -> Schema:
    """Build the descriptors of one data file."""
    versions = _parse_range(data["versions"], (0, 0x7FFF))
    if versions is None:
        raise ValueError(f"{data['name']} has no versions")
    flexible = _parse_range(data["flexible"], versions)
    structs = _Structs(versions)
    structs.add(data["name"], data["fields"])
    for struct in data.get("structs", ()):
        structs.add(struct["name"], struct["fields"])
    first_flexible = flexible[0] if flexible else None
    return Schema(data["name"], data.get("key", -1), versions, first_flexible, tuple(structs.found))


class _Structs:
    """Collects structs in the order in which they appear, parents first."""

    def __init__(self, versions: VersionRange) -> None:
        self._versions = versions
        self.found: list[Struct] = []

    def add(self, name: str, fields: list[dict[str, Any]]) -> None:
        place = len(self.found)
        parsed = [field for field in map(self._parse_field, fields) if field is not None]
        self.found.insert(place, Struct(name, tuple(parsed)))

    def _parse_field(self, data: dict[str, Any]) -> Field | None:
        versions = _parse_range(data["versions"], self._versions)
        if versions is None:
            return None
        if "fields" in data:
            self.add(data["type"].removeprefix("[]"), data["fields"])
        nullable = _parse_range(data.get("nullable", "none"), versions)
        tagged = _parse_range(data.get("tagged", "none"), versions)
        plain = data["type"] == "string" and data.get("flexible") == "none"
        return Field(
            name=snake_case(data["name"]),
            type="plain_string" if plain else data["type"],
            versions=versions,
            nullable=nullable,
            tagged=tagged,
            tag=data.get("tag", -1),
            default=_default(data, nullable, tagged),
            ignorable=data.get("ignorable", False),
            kip=data.get("kip"),
        )


def _default(data: dict[str, Any], nullable: VersionRange | None, tagged: VersionRange | None) -> object:
    if "default" in data:
        return data["default"]
    kind = data["type"]
    if kind.startswith("[]"):
        return ()
    if kind not in FIXED and kind not in VARIABLE:
        return None if tagged and not nullable else ()
    zeros: dict[str, object] = {
        "bool": False,
        "string": "",
        "bytes": b"",
        "records": None,
        "uuid": bytes(16),
        "float64": 0.0,
    }
    return zeros.get(kind, 0)


def _parse_range(text: str, within: VersionRange) -> VersionRange | None:
    if text == "none":
        return None
    if text.endswith("+"):
        first, last = int(text[:-1]), within[1]
    elif "-" in text:
        first, last = map(int, text.split("-"))
    else:
        first = last = int(text)
    first, last = max(first, within[0]), min(last, within[1])
    return (first, last) if first <= last else None

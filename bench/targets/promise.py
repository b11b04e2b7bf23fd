"""What a target promises with an acknowledgement, and how far it looks at what it takes.

Only what promises the same is compared fairly, so this stands beside every comparison. logd's durability is what it
said itself when it started.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol, cast

VALIDATION = "log.record.validation"
FULL_VALIDATION = "full"
_SAID_WITHIN_S = 30
_DURABILITY = re.compile(r"^durability: (.+)$", re.MULTILINE)


class Promise(NamedTuple):
    durability: str
    validation: str

    def __str__(self) -> str:
        return f"{self.durability}; {self.validation}"


_OTHERS = {
    "kafka": Promise(
        "acknowledged when written to the operating system (its default)",
        "checksum, header and every record, decompressed",
    ),
    "tansu": Promise("none: records are in memory", "as it comes"),
    "null": Promise("none: nothing is stored", "nothing is checked"),
    "echo": Promise("none: nothing is stored", "nothing is checked"),
    "floor": Promise("acknowledged when written to the operating system", "checksum"),
}
_BY_VALIDATION = {
    "header": "validation=header: checksum and header, not every record",
    FULL_VALIDATION: "validation=full: checksum, header and every record, decompressed",
}


class Speaking(Protocol):
    def output(self) -> str:
        """What a broker has written since it started."""


def promise_of(name: str, target: object, logd_properties: Mapping[str, str]) -> Promise:
    """`target` is running, and a `Speaking` where it is logd; `logd_properties` are set for all that are."""
    return (
        _OTHERS[name] if name in _OTHERS else _promise_of_logd(name, cast(Speaking, target), logd_properties)
    )


def _promise_of_logd(name: str, target: Speaking, logd_properties: Mapping[str, str]) -> Promise:
    deadline = time.monotonic() + _SAID_WITHIN_S
    while not (
        said := _DURABILITY.search(target.output())
    ):  # the line comes after the one that says it is ready
        if time.monotonic() > deadline:
            raise RuntimeError("logd did not say how durable it is")
        time.sleep(0.01)
    validation = FULL_VALIDATION if name == "logd-full" else logd_properties.get(VALIDATION, "header")
    return Promise(said[1], _BY_VALIDATION[validation])

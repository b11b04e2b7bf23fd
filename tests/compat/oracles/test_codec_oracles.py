"""Our bytes are Kafka's: every served message in every version, against codecs that we did not write.

Method: messages drawn from the descriptors (nulls, empty and filled arrays, text beyond ASCII, tagged fields set and
not set) are written by us and read by the oracle, and written by the oracle and read by us. Both must see the same,
and since the form on the wire is unique, both must write the same bytes. What no oracle knows is named in the table
that the run prints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocol.api import APIS, message_types
from protocol.codec import decode, encode_bytes
from protocol.errors import ErrorCode
from protocol.messages.message import Message
from protocol.primitives import encode_uvarint
from protocol.schema.descriptors import Field
from tests.compat.oracles.adapters import ORACLES, Oracle, to_plain
from tests.support.messages import any_scalar, messages

SERVED = [
    (cls, version)
    for spec in APIS.values()
    for cls in message_types(spec)
    for version in range(max(spec.min_version, cls.VERSIONS[0]), spec.max_version + 1)
]
CASES = [
    (oracle, cls, version) for oracle in ORACLES for cls, version in SERVED if oracle.knows(cls, version)
]

FLEXIBLE = [
    (oracle, cls, version)
    for oracle, cls, version in CASES
    if cls.FIRST_FLEXIBLE is not None and version >= cls.FIRST_FLEXIBLE
]

# kio knows the codes up to Kafka 4.2, and gives times as datetime.
PHASES = (Phase.explicit, Phase.generate)
ERROR_CODES = st.sampled_from(
    [int(code) for code in ErrorCode if code <= ErrorCode.INVALID_REGULAR_EXPRESSION]
)
TIMES = st.sampled_from((-1, 0, 1_700_000_000_123))


def tame_scalar(field: Field) -> st.SearchStrategy[Any]:
    """Values that every oracle can represent."""
    if field.type == "int16" and field.name.endswith("error_code"):
        return ERROR_CODES
    return TIMES if field.name == "log_append_time_ms" else any_scalar(field)


def name(value: Any) -> str:
    if isinstance(value, type) and issubclass(value, Message):
        return value.NAME
    return f"v{value}" if isinstance(value, int) else str(value.name)


@pytest.mark.parametrize(("oracle", "cls", "version"), CASES, ids=name)
def test_bytes_are_those_of_the_oracle(
    oracle: Oracle, cls: type[Message], version: int, record_property: Callable[[str, object], None]
) -> None:
    @settings(
        max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None, phases=PHASES
    )
    @given(message=messages(cls, version, tame_scalar))
    def agree(message: Message) -> None:
        plain = to_plain(message, version)
        ours = encode_bytes(message, version)
        assert oracle.decode(cls, version, ours) == plain
        theirs = oracle.encode(cls, version, plain)
        assert to_plain(decode(cls, version, theirs), version) == plain
        # A tagged struct that is set to its defaults is written by us and left out by others.
        assert encode_bytes(decode(cls, version, theirs), version) == theirs

    agree()
    record_property("oracle", [oracle.name, cls.NAME, version])


@pytest.mark.parametrize(("oracle", "cls", "version"), FLEXIBLE, ids=name)
def test_unknown_tagged_fields_do_not_hide_what_is_known(
    oracle: Oracle, cls: type[Message], version: int
) -> None:
    plain = to_plain(cls(), version)
    body = oracle.encode(cls, version, plain)
    assert body[-1:] == b"\0"
    unknown = b"\x01" + encode_uvarint(5000) + b"\x02ab"
    assert to_plain(decode(cls, version, body[:-1] + unknown), version) == plain


def test_only_the_newest_version_of_api_versions_has_no_oracle() -> None:
    """Whoever raises a range has to find an oracle for it, or to say here that there is none."""
    known = {(cls.NAME, version) for _, cls, version in CASES}
    assert sorted({(cls.NAME, version) for cls, version in SERVED} - known) == [
        ("ApiVersionsRequest", 5),
        ("ApiVersionsResponse", 5),
    ]

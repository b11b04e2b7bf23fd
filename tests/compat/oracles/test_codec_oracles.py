"""Our bytes are Kafka's: every served message in every version, against codecs that we did not write.

Method: messages drawn from the descriptors (nulls, empty and filled arrays, text beyond ASCII, tagged fields set and
not set) are written by us and read by the oracle, and written by the oracle and read by us. Both must see the same,
and since the form on the wire is unique, both must write the same bytes. What no oracle knows is named in the table
that the run prints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
from tests.support.messages import all_messages, any_scalar, messages, versions_of

SERVED = [
    (cls, version)
    for spec in APIS.values()
    for cls in message_types(spec)
    for version in range(max(spec.min_version, cls.VERSIONS[0]), spec.max_version + 1)
]
CASES = [
    (oracle, cls, version) for oracle in ORACLES for cls, version in SERVED if oracle.knows(cls, version)
]

NOT_SERVED = sorted(
    {cls for cls in all_messages() if cls.NAME.endswith(("Request", "Response"))}
    - {cls for cls, _ in SERVED},
    key=lambda cls: cls.NAME,
)
FLEXIBLE = [
    (oracle, cls, version)
    for oracle, cls, version in CASES
    if cls.FIRST_FLEXIBLE is not None and version >= cls.FIRST_FLEXIBLE
]

PHASES = (Phase.explicit, Phase.generate)

# kio knows the error codes up to 133, and gives times as datetime and durations as timedelta, which are bounded.
ERROR_CODES = st.sampled_from(
    [int(code) for code in ErrorCode if code <= ErrorCode.SHARE_SESSION_LIMIT_REACHED]
)
TIMES = st.sampled_from((0, 1_700_000_000_123))


def tame_scalar(field: Field) -> st.SearchStrategy[Any]:
    """Values that every oracle can represent."""
    if field.type == "int16" and field.name.endswith("error_code"):
        return ERROR_CODES
    if field.name == "log_append_time_ms":
        return TIMES | st.just(-1)
    is_time = field.type == "int64" and field.name.endswith(("_ms", "_timestamp"))
    return TIMES if is_time else any_scalar(field)


def name(value: Any) -> str:
    if isinstance(value, type) and issubclass(value, Message):
        return value.NAME
    return f"v{value}" if isinstance(value, int) else str(value.name)


@pytest.mark.parametrize(("oracle", "cls", "version"), CASES, ids=name)
def test_bytes_are_those_of_the_oracle(
    oracle: Oracle, cls: type[Message], version: int, record_property: Callable[[str, object], None]
) -> None:
    assert_agreement(oracle, cls, version, examples=15)
    record_property("oracle", [oracle.name, cls.NAME, version])


@pytest.mark.slow
@pytest.mark.parametrize("oracle", ORACLES, ids=name)
@pytest.mark.parametrize("cls", NOT_SERVED, ids=name)
def test_messages_not_served_yet_are_those_of_the_oracle(oracle: Oracle, cls: type[Message]) -> None:
    """The schemas were carried over rightly, and the codec knows every form of field."""
    for version in filter(partial(oracle.knows, cls), versions_of(cls)):
        assert_agreement(oracle, cls, version, examples=4)


def assert_agreement(oracle: Oracle, cls: type[Message], version: int, *, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=PHASES,
    )
    @given(message=messages(cls, version, tame_scalar))
    def agree(message: Message) -> None:
        plain = to_plain(message, version)
        assert oracle.decode(cls, version, encode_bytes(message, version)) == plain
        theirs = oracle.encode(cls, version, plain)
        read = decode(cls, version, theirs)
        assert to_plain(read, version) == plain
        # Not compared with our first bytes: a tagged struct set to its defaults is written by us, left out by others.
        assert encode_bytes(read, version) == theirs

    agree()


@pytest.mark.parametrize(("oracle", "cls", "version"), FLEXIBLE, ids=name)
def test_unknown_tagged_fields_do_not_hide_what_is_known(
    oracle: Oracle, cls: type[Message], version: int
) -> None:
    plain = to_plain(cls(), version)
    body = oracle.encode(cls, version, plain)
    assert body[-1:] == b"\0"
    unknown = b"\x01" + encode_uvarint(5000) + b"\x02ab"
    assert to_plain(decode(cls, version, body[:-1] + unknown), version) == plain


def test_only_the_newest_versions_of_three_apis_have_no_oracle() -> None:
    """Whoever raises a range has to find an oracle for it, or to say here that there is none."""
    known = {(cls.NAME, version) for _, cls, version in CASES}
    assert sorted({(cls.NAME, version) for cls, version in SERVED} - known) == [
        ("ApiVersionsRequest", 5),
        ("ApiVersionsResponse", 5),
        ("DeleteGroupsRequest", 3),
        ("DeleteGroupsResponse", 3),
        ("TxnOffsetCommitRequest", 6),
        ("TxnOffsetCommitResponse", 6),
    ]

"""Every message and record, in every version: what is written is read back, whatever is unknown is passed over.

Method: strategies are built from the descriptors of each class (`tests.support.messages`); writing, reading and
writing again must give the same message and the same bytes. That the bytes are Kafka's is shown by the oracles in
`tests/compat/oracles`, not here.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.api import SERVED_APIS, message_types
from protocol.codec import decode, encode, encode_bytes, reader_for
from protocol.errors import ProtocolViolation
from protocol.messages.message import Message
from protocol.messages.records_group import ConsumerGroupMemberMetadataValue
from protocol.primitives import encode_uvarint
from tests.support.messages import all_messages, all_versions, messages, versions_of

EVERY = list(all_versions())
SERVED = [
    (cls, version)
    for spec in SERVED_APIS.values()
    for cls in message_types(spec)
    for version in versions_of(cls)
    if spec.min_version <= version <= spec.max_version
]

quick = settings(
    max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)
thorough = settings(quick, max_examples=25)


def name(value: Any) -> str:
    return value.NAME if isinstance(value, type) and issubclass(value, Message) else f"v{value}"


@pytest.mark.parametrize(("cls", "version"), EVERY, ids=name)
@quick
@given(data=st.data())
def test_any_message_in_any_version_comes_back(cls: type[Message], version: int, data: st.DataObject) -> None:
    _check_round_trip(cls, version, data.draw(messages(cls, version)))


@pytest.mark.parametrize(("cls", "version"), SERVED, ids=name)
@thorough
@given(data=st.data())
def test_served_messages_come_back(cls: type[Message], version: int, data: st.DataObject) -> None:
    _check_round_trip(cls, version, data.draw(messages(cls, version)))


def _check_round_trip(cls: type[Message], version: int, message: Message) -> None:
    body = encode_bytes(message, version)
    assert sum(map(len, encode(message, version))) == len(body)
    assert decode(cls, version, body) == message
    for form in (bytearray(b"head" + body + b"tail"), memoryview(b"head" + body + b"tail")):
        again, end = reader_for(cls, version)(form, 4)
        assert again == message
        assert end == 4 + len(body)
        assert encode_bytes(again, version) == body


@pytest.mark.parametrize("cls", all_messages(), ids=name)
def test_defaults_come_back_in_every_version(cls: type[Message]) -> None:
    for version in versions_of(cls):
        assert decode(cls, version, encode_bytes(cls(), version)) == cls()


@pytest.mark.parametrize("cls", all_messages(), ids=name)
def test_unknown_tagged_fields_are_passed_over(cls: type[Message]) -> None:
    if cls is ConsumerGroupMemberMetadataValue:
        pytest.skip("its null is not its default, so that its tag buffer is never empty")
    unknown = encode_uvarint(1000) + encode_uvarint(3) + b"abc" + encode_uvarint(70000) + b"\0"
    for version in versions_of(cls):
        if cls.FIRST_FLEXIBLE is not None and version >= cls.FIRST_FLEXIBLE:
            body = encode_bytes(cls(), version)
            assert body[-1:] == b"\0"
            assert decode(cls, version, body[:-1] + b"\x02" + unknown) == cls()


@pytest.mark.parametrize("cls", all_messages(), ids=name)
def test_bytes_after_the_message_are_refused(cls: type[Message]) -> None:
    for version in versions_of(cls):
        with pytest.raises(ProtocolViolation):
            decode(cls, version, encode_bytes(cls(), version) + b"\0")

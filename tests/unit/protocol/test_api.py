"""The table of APIs: header versions, classes, and that it promises nothing the codecs cannot keep."""

from __future__ import annotations

import pytest

from protocol.api import (
    API_VERSIONS,
    APIS,
    NEVER_FLEXIBLE,
    ApiSpec,
    message_types,
    read_request_header,
    request_header_version,
    response_header_version,
)
from protocol.codec import encode_bytes
from protocol.errors import ProtocolViolation
from protocol.messages.headers import RequestHeader


@pytest.mark.parametrize("spec", APIS.values(), ids=lambda spec: spec.name)
def test_rows_agree_with_the_messages(spec: ApiSpec) -> None:
    for cls in message_types(spec):
        assert spec.key == cls.API_KEY
        assert cls.VERSIONS[0] <= spec.min_version <= spec.max_version <= cls.VERSIONS[1]
        assert spec.first_flexible == (NEVER_FLEXIBLE if cls.FIRST_FLEXIBLE is None else cls.FIRST_FLEXIBLE)
    assert spec.advertised_min <= spec.min_version


def test_only_produce_advertises_more_than_it_serves() -> None:
    assert [spec.name for spec in APIS.values() if spec.advertised_min != spec.min_version] == ["Produce"]


@pytest.mark.parametrize(
    ("key", "version", "request_header", "response_header"),
    [
        (0, 8, 1, 0),
        (0, 9, 2, 1),
        (1, 11, 1, 0),
        (1, 12, 2, 1),
        (API_VERSIONS, 2, 1, 0),
        (API_VERSIONS, 3, 2, 0),
        (API_VERSIONS, 99, 2, 0),
        (60, 0, 2, 1),
    ],
)
def test_header_versions(key: int, version: int, request_header: int, response_header: int) -> None:
    assert request_header_version(key, version) == request_header
    assert response_header_version(key, version) == response_header


def test_an_api_that_is_not_served_has_no_headers() -> None:
    for ask in (request_header_version, response_header_version):
        with pytest.raises(ProtocolViolation, match="4 is not served"):
            ask(4, 0)


@pytest.mark.parametrize("client_id", ["consumer-1", "", None])
@pytest.mark.parametrize(("version", "header_version"), [(11, 1), (12, 2)])
def test_request_headers_are_read(version: int, header_version: int, client_id: str | None) -> None:
    header = RequestHeader(
        request_api_key=1, request_api_version=version, correlation_id=-7, client_id=client_id
    )
    data = encode_bytes(header, header_version)
    assert read_request_header(b"????" + data + b"body", 4) == (header, 4 + len(data))


def test_the_client_id_keeps_its_plain_length_in_flexible_headers() -> None:
    header = RequestHeader(request_api_key=1, request_api_version=12, correlation_id=5, client_id="ab")
    assert encode_bytes(header, 2) == bytes.fromhex("0001 000c 00000005 0002 6162 00")


@pytest.mark.parametrize(
    "form", ["", "00", "0001", "0001000c", "0001000c00000005", "0001000c00000005 7fff", "0004 0000"]
)
def test_damaged_request_headers_are_refused(form: str) -> None:
    with pytest.raises(ProtocolViolation):
        read_request_header(bytes.fromhex(form))

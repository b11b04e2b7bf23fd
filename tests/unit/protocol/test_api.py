"""The table of APIs: header versions, classes, and that it promises nothing the codecs cannot keep."""

from __future__ import annotations

import pytest

from protocol.api import (
    API_VERSIONS,
    APIS,
    NEVER_FLEXIBLE,
    OWN_APIS,
    SERVED_APIS,
    ApiSpec,
    first_flexible_answer,
    message_types,
)
from protocol.codec import encode_bytes
from protocol.messages.headers import RequestHeader


@pytest.mark.parametrize("spec", SERVED_APIS.values(), ids=lambda spec: spec.name)
def test_rows_agree_with_the_messages(spec: ApiSpec) -> None:
    for cls in message_types(spec):
        assert spec.key == cls.API_KEY
        assert cls.VERSIONS[0] <= spec.min_version <= spec.max_version <= cls.VERSIONS[1]
        assert spec.first_flexible == (NEVER_FLEXIBLE if cls.FIRST_FLEXIBLE is None else cls.FIRST_FLEXIBLE)
    assert spec.advertised_min <= spec.min_version


def test_keys_of_our_own_are_far_from_kafkas() -> None:
    assert max(APIS) < 1000
    assert min(OWN_APIS) > 10_000
    assert max(OWN_APIS) < 1 << 15


def test_only_produce_advertises_more_than_it_serves() -> None:
    assert [spec.name for spec in APIS.values() if spec.advertised_min != spec.min_version] == ["Produce"]


@pytest.mark.parametrize(
    ("key", "first_flexible", "expected"),
    [(0, 9, 9), (60, 0, 0), (API_VERSIONS, 3, NEVER_FLEXIBLE), (17, None, NEVER_FLEXIBLE)],
)
def test_answers_are_as_flexible_as_their_requests_but_for_api_versions(
    key: int, first_flexible: int | None, expected: int
) -> None:
    assert first_flexible_answer(key, first_flexible) == expected


def test_the_client_id_keeps_its_plain_length_in_flexible_headers() -> None:
    header = RequestHeader(request_api_key=1, request_api_version=12, correlation_id=5, client_id="ab")
    assert encode_bytes(header, 2) == bytes.fromhex("0001 000c 00000005 0002 6162 00")

"""Ids in text and in bytes; partitions as keys."""

from __future__ import annotations

import base64
import uuid

import pytest

from protocol.types import ZERO_UUID, TopicPartition, uuid_from_str, uuid_to_str


def test_text_of_an_id_is_url_safe_base64_without_padding() -> None:
    raw = bytes(range(240, 256))
    assert uuid_to_str(raw) == base64.urlsafe_b64encode(raw).decode().rstrip("=")
    assert uuid_to_str(ZERO_UUID) == "A" * 22


def test_text_form_comes_back() -> None:
    for seed in range(200):
        raw = uuid.uuid5(uuid.NAMESPACE_DNS, str(seed)).bytes
        assert uuid_from_str(uuid_to_str(raw)) == raw


def test_padding_is_tolerated() -> None:
    assert uuid_from_str("A" * 22 + "==") == ZERO_UUID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A" * 21,
        "A" * 23,
        "A" * 21 + "B",  # bits beyond the 128th
        "A" * 21 + "!",
        "A" * 20 + "+/",  # the other alphabet
        "é" * 22,
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_other_text_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        uuid_from_str(text)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_an_id_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        uuid_to_str(bytes(size))


def test_partitions_print_as_their_directory_does() -> None:
    assert str(TopicPartition("orders", 3)) == "orders-3"
    assert {TopicPartition("orders", 3): 1}[TopicPartition("orders", 3)] == 1

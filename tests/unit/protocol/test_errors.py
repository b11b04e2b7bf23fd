"""The table of error codes is whole, and refusals say what they are. Kafka's own table: tests/compat/oracles."""

from __future__ import annotations

import pytest

from protocol.errors import BrokerError, ErrorCode, ProtocolViolation


def test_every_code_from_minus_one_on_is_there_once() -> None:
    assert [int(code) for code in sorted(ErrorCode)] == list(range(-1, 137))
    assert len(ErrorCode.__members__) == 138


def test_every_code_has_a_sentence_of_its_own() -> None:
    texts = [code.text for code in ErrorCode]
    assert len(set(texts)) == len(texts)
    assert all(text.endswith(".") for text in texts)


@pytest.mark.parametrize("code", [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.CORRUPT_MESSAGE, 7])
def test_retriable_codes(code: int) -> None:
    assert ErrorCode(code).retriable


@pytest.mark.parametrize(
    "code", [ErrorCode.NONE, ErrorCode.UNKNOWN_SERVER_ERROR, ErrorCode.MESSAGE_TOO_LARGE]
)
def test_codes_that_stay(code: ErrorCode) -> None:
    assert not code.retriable


def test_a_refusal_carries_code_and_message() -> None:
    plain = BrokerError(ErrorCode.INVALID_REQUEST)
    assert (plain.code, plain.message) == (ErrorCode.INVALID_REQUEST, None)
    assert str(plain) == f"INVALID_REQUEST: {ErrorCode.INVALID_REQUEST.text}"
    told = BrokerError(ErrorCode.INVALID_REQUEST, "acks=2")
    assert str(told) == "INVALID_REQUEST: acks=2"


def test_a_violation_is_no_refusal() -> None:
    assert not issubclass(ProtocolViolation, BrokerError)

"""Our error codes are Kafka's: number, name and retriability, against kio's table, which is made from Kafka's own."""

from __future__ import annotations

from kio.schema.errors import ErrorCode as KioErrorCode

from protocol.errors import ErrorCode


def test_codes_are_those_of_kio() -> None:
    theirs = {int(code.value): (code.name.upper(), code.retriable) for code in KioErrorCode}
    ours = {int(code): (code.name, code.retriable) for code in ErrorCode if int(code) in theirs}
    assert ours == theirs


def test_codes_beyond_kio_are_the_newest() -> None:
    newest = max(int(code.value) for code in KioErrorCode)
    assert [int(code) for code in ErrorCode if code > newest] == list(range(newest + 1, 137))

"""Records between the begin and the end of a metadata transaction take effect together, or not at all."""

from __future__ import annotations

import pytest

from protocol.messages.message import Message
from protocol.messages.records_metadata import (
    AbortTransactionRecord,
    BeginTransactionRecord,
    EndTransactionRecord,
    NoOpRecord,
    TopicRecord,
)
from replication.metadata_image import UnusableMetadata
from replication.metadata_transactions import MetadataTransactions


def admitted(*records: Message) -> list[list[int]]:
    """What takes effect at each record, as offsets."""
    transactions = MetadataTransactions()
    return [
        [taken for taken, _ in transactions.admit(offset, record)] for offset, record in enumerate(records)
    ]


def test_outside_a_transaction_a_record_takes_effect_at_once() -> None:
    assert admitted(NoOpRecord(), TopicRecord()) == [[0], [1]]


def test_what_is_held_back_takes_effect_at_the_end() -> None:
    records = (NoOpRecord(), BeginTransactionRecord(), TopicRecord(), TopicRecord(), EndTransactionRecord())
    assert admitted(*records, NoOpRecord()) == [[0], [], [], [], [2, 3], [5]]


def test_what_is_aborted_never_happened() -> None:
    records = (BeginTransactionRecord(), TopicRecord(), AbortTransactionRecord(), NoOpRecord())
    assert admitted(*records) == [[], [], [], [3]]
    following = (BeginTransactionRecord(), TopicRecord(), EndTransactionRecord())
    assert admitted(*records, *following)[-1] == [5]


def test_it_is_known_what_is_open() -> None:
    transactions = MetadataTransactions()
    transactions.admit(7, BeginTransactionRecord())
    assert transactions.open_since == 7
    transactions.admit(8, EndTransactionRecord())
    assert transactions.open_since is None


@pytest.mark.parametrize(
    "records",
    [
        (EndTransactionRecord(),),
        (AbortTransactionRecord(),),
        (BeginTransactionRecord(), BeginTransactionRecord()),
        (BeginTransactionRecord(), EndTransactionRecord(), EndTransactionRecord()),
    ],
    ids=["end", "abort", "begin twice", "end twice"],
)
def test_boundaries_out_of_place_are_refused(records: tuple[Message, ...]) -> None:
    with pytest.raises(UnusableMetadata):
        admitted(*records)

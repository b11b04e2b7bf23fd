"""Goal: a producer whose answer was lost is recognised, and nobody else is, whatever could not be written meanwhile."""

from __future__ import annotations

from coordinator.transactions.exchanges import Exchanges
from coordinator.transactions.transaction import Identity

A, B, C = Identity(1, 0), Identity(1, 1), Identity(1, 2)


def test_the_last_exchange_is_known_by_what_was_given() -> None:
    exchanges = Exchanges()
    exchanges.propose("x", current=A, given=B, given_up=A)
    assert exchanges.given_up_for("x", B) == A
    assert exchanges.given_up_for("x", A) is None
    assert exchanges.given_up_for("y", B) is None
    exchanges.propose("x", current=B, given=C, given_up=B)
    exchanges.propose("x", current=C, given=Identity(2, 0), given_up=C)
    assert exchanges.given_up_for("x", B) is None


def test_an_exchange_that_was_not_written_leaves_the_one_before() -> None:
    exchanges = Exchanges()
    exchanges.propose("x", current=A, given=B, given_up=A)
    exchanges.propose("x", current=B, given=C, given_up=B)
    assert exchanges.given_up_for("x", B) == A


def test_a_stranger_that_gets_what_was_not_written_before_is_no_exchange() -> None:
    exchanges = Exchanges()
    exchanges.propose("x", current=A, given=B, given_up=A)
    exchanges.propose("x", current=A, given=B, given_up=None)
    assert exchanges.given_up_for("x", B) is None


def test_what_is_forgotten_is_gone() -> None:
    exchanges = Exchanges()
    exchanges.propose("x", current=A, given=B, given_up=A)
    exchanges.forget("x")
    exchanges.forget("y")
    assert exchanges.given_up_for("x", B) is None

"""Too many authorisation attempts on one card within a tumbling window.

As the query of the source has it, a count in a table: from the first attempt above the limit on, each one is an alert
with the count so far.
"""

from __future__ import annotations

from services.orders.schemas import AuthorizationAttempt, PossibleFraud

ATTEMPTS_ALLOWED = 3


def on_attempt(
    attempt: AuthorizationAttempt, count_before: int, window_start: int
) -> tuple[int, PossibleFraud | None]:
    count = count_before + 1
    alert = PossibleFraud(attempt.card, window_start, count) if count > ATTEMPTS_ALLOWED else None
    return count, alert

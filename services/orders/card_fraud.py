"""Card-fraud query: more than three authorisation attempts on a card within five minutes.

    CREATE TABLE possible_fraud AS SELECT card, count(*) FROM authorization_attempts
        WINDOW TUMBLING (SIZE 5 MINUTES) GROUP BY card HAVING count(*) > 3;

Windows are by the time of the attempt. A window's count is kept for good, since an attempt may be reported late.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.orders import topics
from services.orders.handling import publish, topology
from services.orders.process import main
from services.orders.rules import card_fraud
from services.orders.rules.windows import window_start
from services.orders.schemas import AuthorizationAttempt
from services.orders.settings import Settings
from services.runtime.records import Record
from services.runtime.topology import Context, Topology


def build(settings: Settings) -> Topology:
    def count(attempt: AuthorizationAttempt, _record: Record, context: Context) -> None:
        start = window_start(attempt.at, settings.card_window_ms)
        key = f"{start}|{attempt.card}".encode()
        attempts, alert = card_fraud.on_attempt(attempt, int(context.store.get(key) or 0), start)
        context.store.put(key, str(attempts).encode())
        if alert is not None:
            publish(context, topics.POSSIBLE_FRAUD, alert.card, alert)

    return topology("card-fraud", {topics.AUTHORIZATION_ATTEMPTS: count})


def run(arguments: Sequence[str]) -> int:
    return main("card-fraud", build, arguments)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))

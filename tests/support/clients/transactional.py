"""The port for transactions: a producer that stays from call to call, since its state is what is tested.

Which clients are behind it is `TRANSACTIONAL`; a client joins with an adapter and a row there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

FENCED = frozenset({"PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "_FENCED"})
"""What clients call it when somebody else has taken over their transactional id."""

TOO_LATE = FENCED | {"_MSG_TIMED_OUT"}
"""What they call it when the transaction was over before its record came: who has left it open for too long is fenced,
and librdkafka gives a record as much time as the transaction."""


class Transactional(Protocol):
    """One transactional producer. Calls raise ClientError when the client gives up."""

    def init(self) -> None:
        """Take the transactional id over; whoever had it is fenced, and what it left open is aborted."""

    def begin(self) -> None: ...

    def send(self, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
        """Send records and wait until they are acknowledged."""

    def send_offset(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        """Have the transaction commit an offset of a group of which there are no members."""

    def commit(self) -> None: ...

    def abort(self) -> None: ...

    def close(self) -> None:
        """Let go of the client, whatever is open."""


def make_transactional(client: Any, transactional_id: str, **settings: str) -> Transactional:
    """A producer of a client that is in `TRANSACTIONAL`; dots of property names are underscores."""
    made: Transactional = client.transactional(transactional_id, **settings)
    return made


TRANSACTIONAL = (
    "confluent-kafka",
    "kafka-python",
    "aiokafka",
    "java-client-4.4.0",
    "java-kafka-4.3.1",
    "java-client-3.9.1",
    "franz-go",
    "sarama",
    "kafkajs",
)
"""Names in the registry of clients. Java 4 and franz-go work with the second version of transactions, others with the
first."""

GIVE_UP = ("kafkajs",)
"""Those that do not ask again while the coordinator of a transaction is coming back: EndTxn fails for their caller."""

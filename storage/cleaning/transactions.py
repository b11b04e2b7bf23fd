"""Transactions as a cleaner meets them, going through a log from the start: whose records go, whose marker may go.

Records of an aborted transaction go at once. A marker, of either kind, may go once no batch of its transaction is left
before it; until then it tells readers where the transaction ends. The index entry of an aborted transaction stays as
long as its marker is needed for that.
Source: KIP-98. Checked against apache/kafka storage/…/log/CleanedTransactionMetadata.java.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from protocol.records import BatchHeader
from protocol.types import Offset, ProducerId
from storage.txn_index import AbortedTxn


class CleanedTransactions:
    """Fed with every batch, in order."""

    def __init__(self, aborted: Iterable[AbortedTxn]) -> None:
        """`aborted`: all that have records in what follows."""
        self.retained: list[AbortedTxn] = []
        """Aborted transactions whose marker was met, and stays for the sake of their records; for who takes them."""
        self._ahead = deque(sorted(aborted, key=lambda txn: txn.first_offset))
        self._aborted: dict[ProducerId, AbortedTxn] = {}
        """Those that have begun and whose marker is still to come."""
        self._seen: set[ProducerId] = set()
        """Producers with a batch in their transaction that is under way."""

    def on_data(self, header: BatchHeader) -> bool:
        """A batch of data follows; returns whether it is of an aborted transaction."""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        self._seen.add(header.producer_id)
        aborted = self._aborted.get(header.producer_id)
        # Behind its marker it is another one, should an index have kept what the log has not.
        return aborted is not None and header.base_offset < aborted.last_offset

    def on_marker(self, header: BatchHeader, *, committed: bool) -> bool:
        """A marker follows; returns whether no record of its transaction is left."""
        self._begin_up_to(header.last_offset)
        had_records = header.producer_id in self._seen
        self._seen.discard(header.producer_id)
        aborted = self._aborted.pop(header.producer_id, None)
        if had_records and not committed and aborted is not None:
            self.retained.append(aborted)
        return not had_records

    def take_retained(self) -> list[AbortedTxn]:
        """Those met since the last call, in order of their markers."""
        retained, self.retained = self.retained, []
        return retained

    def _begin_up_to(self, offset: Offset) -> None:
        ahead = self._ahead
        while ahead and ahead[0].first_offset <= offset:
            txn = ahead.popleft()
            self._aborted[txn.producer_id] = txn

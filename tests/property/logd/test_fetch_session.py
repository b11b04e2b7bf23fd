"""Fetch sessions against what a client holds: a plain dictionary that only responses change.

A broker of a few partitions changes at random; a client adds, drops and fetches. Whatever happened, after each
answer the client knows of every partition exactly what is true, though it was told changes only.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logd.fetch_session import FetchContext, FetchSessionCache
from protocol.errors import ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse

INDEXES = st.integers(0, 5)
ID = b"i" * 16


class SessionMachine(RuleBasedStateMachine):
    """`truth` is the broker's state, `client` what the client believes; both by partition."""

    @initialize(by_id=st.booleans(), slots=st.integers(0, 2))
    def start(self, by_id: bool, slots: int) -> None:
        self.by_id = by_id
        self.version = 13 if by_id else 12
        self.cache = FetchSessionCache({ID: "t"}.get, slots=slots)
        self.truth: dict[int, tuple[int, int, int]] = dict.fromkeys(range(6), (0, 0, 0))
        self.pending = dict.fromkeys(range(6), 0)
        self.client: dict[int, tuple[int, int, int]] = {}
        self.asked: set[int] = set()
        self.session = (0, 0)
        self.settled = True
        self.now_ms = 0

    @rule(
        index=INDEXES,
        high_watermark=st.integers(0, 3),
        log_start=st.integers(0, 1),
        error=st.sampled_from([0, 0, 6]),
    )
    def broker_moves(self, index: int, high_watermark: int, log_start: int, error: int) -> None:
        self.truth[index] = (high_watermark, log_start, error)
        self.settled = False

    @rule(index=INDEXES)
    def producer_writes(self, index: int) -> None:
        self.pending[index] += 1

    @rule(added=st.sets(INDEXES, max_size=3), dropped=st.sets(INDEXES, max_size=3))
    def client_fetches(self, added: set[int], dropped: set[int]) -> None:
        added -= dropped
        dropped &= self.asked
        full = self.session[0] == 0
        self.asked = (self.asked - dropped) | added
        for index in dropped:
            del self.client[index]
        request = self._request(self.asked if full else added, set() if full else dropped)
        context = self.cache.resolve(request, self.version, self.now_ms)
        assert context.error is ErrorCode.NONE
        assert sorted(params.partition for _, _, params in context.partitions) == sorted(self.asked)
        self._take(self._read(context, None), full)

    @rule(offset=st.integers(1, 5))
    @precondition(lambda self: self.session[0] != 0)
    def client_loses_its_place(self, offset: int) -> None:
        """A wrong epoch is refused, and a full request starts over."""
        session_id, epoch = self.session
        request = self._request(set(), set())
        request.session_epoch = epoch + offset
        refused = self.cache.resolve(request, self.version, self.now_ms).finish([], self.now_ms)
        assert refused.error_code == ErrorCode.INVALID_FETCH_SESSION_EPOCH
        request = self._request(self.asked, set())
        request.session_epoch = 0
        response = self._read(self.cache.resolve(request, self.version, self.now_ms), None)
        assert response.session_id != session_id
        self._take(response, full=True)

    @precondition(lambda self: self.session[0] != 0 and self.asked)
    @rule()
    def nobody_starves(self) -> None:
        """With room for one partition's records in an answer, every partition that has some gets its turn."""
        for index in self.truth:
            self.truth[index] = (*self.truth[index][:2], 0)
        self.pending = dict.fromkeys(range(6), 0) | dict.fromkeys(self.asked, 1_000)
        served = set()
        for _ in self.asked:
            response = self._read(
                self.cache.resolve(self._request(set(), set()), self.version, self.now_ms), 1
            )
            served |= {row.partition_index for row in self._rows(response) if row.records}
            self._take(response, full=False)
        assert served == self.asked
        self.pending = dict.fromkeys(range(6), 0)

    @invariant()
    def the_client_knows_the_truth(self) -> None:
        if getattr(self, "settled", False):
            assert set(self.client) == self.asked
            assert all(self.truth[index] == known for index, known in self.client.items())
            assert len(self.cache) <= 2

    def _request(self, partitions: set[int], dropped: set[int]) -> FetchRequest:
        session_id, epoch = self.session
        key: dict[str, Any] = {"topic_id": ID} if self.by_id else {"topic": "t"}
        rows = [FetchRequest.FetchPartition(partition=index) for index in sorted(partitions)]
        request = FetchRequest(session_id=session_id, session_epoch=epoch)
        request.topics = [FetchRequest.FetchTopic(**key, partitions=rows)] if rows else []
        if dropped:
            request.forgotten_topics_data = [FetchRequest.ForgottenTopic(**key, partitions=sorted(dropped))]
        return request

    def _read(self, context: FetchContext, partitions_max: int | None) -> FetchResponse:
        """Answer from the truth; at most `partitions_max` partitions get records."""
        answers = []
        left = 100 if partitions_max is None else partitions_max
        for name, _, params in context.partitions:
            assert name == "t"
            high_watermark, log_start, error = self.truth[params.partition]
            count = self.pending[params.partition] if left and not error else 0
            left -= count > 0
            self.pending[params.partition] -= min(count, 1)
            answers.append(
                FetchResponse.PartitionData(
                    partition_index=params.partition,
                    error_code=error,
                    high_watermark=high_watermark,
                    log_start_offset=log_start,
                    records=b"r" * count,
                )
            )
        return context.finish(answers, self.now_ms)

    def _take(self, response: FetchResponse, full: bool) -> None:
        rows = self._rows(response)
        for row in rows:
            self.client[row.partition_index] = (row.high_watermark, row.log_start_offset, row.error_code)
        told = {row.partition_index for row in rows}
        for index in self.asked - told:
            assert not full
            assert self.truth[index][2] == 0, "an error is always told"
        if response.session_id == 0:
            self.session = (0, 0)
        elif full:
            self.session = (response.session_id, 1)
        else:
            assert response.session_id == self.session[0]
            self.session = (response.session_id, self.session[1] + 1)
        self.settled = True

    def _rows(self, response: FetchResponse) -> list[FetchResponse.PartitionData]:
        assert response.error_code == ErrorCode.NONE
        return [row for topic in response.responses for row in topic.partitions]


TestSessions = SessionMachine.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

"""Fetch sessions: ids and epochs, what an incremental answer holds, names and ids, who makes room for whom."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from logd.fetch_session import SAFE_MS, FetchContext, FetchSessionCache
from protocol.errors import ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.types import ZERO_UUID

EPOCH_MAX = 0x7FFFFFFF
NO_TOPICS: dict[bytes, str] = {}
ID_A, ID_B = b"a" * 16, b"b" * 16


def cache(
    slots: int = 1000, names: dict[bytes, str] | None = None, partitions_max: int = 1000
) -> FetchSessionCache:
    """A cache that hands out 1, 2, 3…"""
    return FetchSessionCache(
        (names or {}).get, slots=slots, partitions_max=partitions_max, new_id=itertools.count(1).__next__
    )


def request(
    session_id: int = 0,
    epoch: int = -1,
    topics: dict[str | bytes, Sequence[int]] | None = None,
    forget: dict[str | bytes, list[int]] | None = None,
    *,
    offset: int = 0,
    replica_id: int = -1,
) -> FetchRequest:
    """A request by name where keys are text, by id where they are bytes."""
    made = FetchRequest(session_id=session_id, session_epoch=epoch, replica_id=replica_id)
    for key, indexes in (topics or {}).items():
        partitions = [FetchRequest.FetchPartition(partition=index, fetch_offset=offset) for index in indexes]
        made.topics.append(
            FetchRequest.FetchTopic(topic=key, partitions=partitions)
            if isinstance(key, str)
            else FetchRequest.FetchTopic(topic_id=key, partitions=partitions)
        )
    for key, listed in (forget or {}).items():
        made.forgotten_topics_data.append(
            FetchRequest.ForgottenTopic(topic=key, partitions=listed)
            if isinstance(key, str)
            else FetchRequest.ForgottenTopic(topic_id=key, partitions=listed)
        )
    return made


def answer(
    index: int, high_watermark: int = 10, *, records: bytes = b"", **fields: Any
) -> FetchResponse.PartitionData:
    return FetchResponse.PartitionData(
        partition_index=index, high_watermark=high_watermark, log_start_offset=0, records=records, **fields
    )


def quiet(context: FetchContext, now_ms: int = 0, **fields: Any) -> FetchResponse:
    """Finish with the same answer for every partition."""
    return context.finish([answer(params.partition, **fields) for _, _, params in context.partitions], now_ms)


def wanted(context: FetchContext) -> list[tuple[str | None, int]]:
    return [(name, params.partition) for name, _, params in context.partitions]


def told(response: FetchResponse) -> list[tuple[str, int]]:
    return [(topic.topic, row.partition_index) for topic in response.responses for row in topic.partitions]


def opened(sessions: FetchSessionCache, topics: dict[str | bytes, Sequence[int]], version: int = 12) -> int:
    return quiet(sessions.resolve(request(0, 0, topics), version, 0)).session_id


def test_without_a_session_nothing_is_kept() -> None:
    sessions = cache()
    context = sessions.resolve(request(0, -1, {"t": [2, 0], "u": [1]}), 12, 0)
    assert wanted(context) == [("t", 2), ("t", 0), ("u", 1)]
    response = quiet(context)
    assert response.session_id == 0
    assert told(response) == [("t", 2), ("t", 0), ("u", 1)]
    assert len(sessions) == 0


def test_versions_before_sessions_are_sessionless() -> None:
    """Below version 7 the fields are absent and have their defaults."""
    sessions = cache()
    context = sessions.resolve(FetchRequest(topics=request(topics={"t": [0]}).topics), 4, 0)
    assert quiet(context).session_id == 0
    assert len(sessions) == 0


def test_a_session_remembers_partitions_and_tells_changes_only() -> None:
    sessions = cache()
    session_id = opened(sessions, {"t": [0, 1, 2]})
    assert session_id == 1
    assert sessions.partitions_cached == 3
    context = sessions.resolve(request(1, 1), 12, 0)
    assert wanted(context) == [("t", 0), ("t", 1), ("t", 2)]
    response = quiet(context)
    assert response.session_id == 1
    assert told(response) == []
    context = sessions.resolve(request(1, 2), 12, 0)
    response = context.finish([answer(0), answer(1, 11), answer(2)], 0)
    assert told(response) == [("t", 1)]


@pytest.mark.parametrize(
    "news",
    [
        pytest.param(answer(1, records=b"r"), id="records"),
        pytest.param(answer(1, 11), id="high watermark"),
        pytest.param(answer(1, preferred_read_replica=3), id="preferred replica"),
        pytest.param(answer(1, error_code=6), id="error"),
        pytest.param(
            FetchResponse.PartitionData(partition_index=1, high_watermark=10, log_start_offset=5),
            id="log start",
        ),
        pytest.param(
            FetchResponse.PartitionData(
                partition_index=1,
                high_watermark=10,
                log_start_offset=0,
                diverging_epoch=FetchResponse.EpochEndOffset(epoch=0, end_offset=4),
            ),
            id="divergence",
        ),
    ],
)
def test_what_counts_as_news(news: FetchResponse.PartitionData) -> None:
    sessions = cache()
    opened(sessions, {"t": [0, 1]})
    response = sessions.resolve(request(1, 1), 12, 0).finish([answer(0), news], 0)
    assert told(response) == [("t", 1)]


def test_an_undefined_divergence_is_no_news() -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    same = answer(0)
    same.diverging_epoch = FetchResponse.EpochEndOffset()
    assert told(sessions.resolve(request(1, 1), 12, 0).finish([same], 0)) == []


def test_the_end_of_an_error_is_told() -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    failed = answer(0, error_code=6)
    assert told(sessions.resolve(request(1, 1), 12, 0).finish([failed], 0)) == [("t", 0)]
    assert told(quiet(sessions.resolve(request(1, 2), 12, 0))) == [("t", 0)]
    assert told(quiet(sessions.resolve(request(1, 3), 12, 0))) == []


def test_an_error_in_the_opening_answer_is_told_when_it_ends() -> None:
    sessions = cache()
    sessions.resolve(request(0, 0, {"t": [0]}), 12, 0).finish([answer(0, error_code=6)], 0)
    assert told(quiet(sessions.resolve(request(1, 1), 12, 0))) == [("t", 0)]


def test_partitions_are_added_changed_and_forgotten() -> None:
    sessions = cache()
    opened(sessions, {"t": [0, 1]})
    change = request(1, 1, {"t": [1], "u": [5]}, {"t": [0], "none": [9]}, offset=77)
    context = sessions.resolve(change, 12, 0)
    assert wanted(context) == [("t", 1), ("u", 5)]
    assert [params.fetch_offset for _, _, params in context.partitions] == [77, 77]
    assert told(quiet(context)) == [("u", 5)], "a partition that is new to the session is always told"


def test_a_session_without_partitions_ends() -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    context = sessions.resolve(request(1, 1, forget={"t": [0]}), 12, 0)
    assert context.partitions == []
    assert quiet(context).session_id == 0
    assert len(sessions) == 0


def test_partitions_with_records_go_to_the_end() -> None:
    sessions = cache()
    opened(sessions, {"t": [0, 1, 2]})
    context = sessions.resolve(request(1, 1), 12, 0)
    context.finish([answer(0, records=b"r"), answer(1), answer(2)], 0)
    context = sessions.resolve(request(1, 2), 12, 0)
    assert [index for _, index in wanted(context)] == [1, 2, 0]
    context.finish([answer(1), answer(2, records=b"r"), answer(0, records=b"r")], 0)
    assert [index for _, index in wanted(sessions.resolve(request(1, 3), 12, 0))] == [1, 2, 0]


def test_epochs_wrap_to_one() -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    sessions._sessions[1].epoch = EPOCH_MAX
    assert sessions.resolve(request(1, EPOCH_MAX), 12, 0).error is ErrorCode.NONE
    assert sessions.resolve(request(1, 1), 12, 0).error is ErrorCode.NONE
    assert sessions.resolve(request(1, 2), 12, 0).error is ErrorCode.NONE


@pytest.mark.parametrize(
    ("session_id", "epoch", "version", "error"),
    [
        (9, 1, 12, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        (0, 1, 12, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        (1, 2, 12, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (1, -2, 12, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (1, 1, 13, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
    ],
)
def test_refusals_name_no_partition_and_change_nothing(
    session_id: int, epoch: int, version: int, error: ErrorCode
) -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    context = sessions.resolve(request(session_id, epoch, {"t": [1]}), version, 0)
    response = context.finish([], 0)
    assert (context.error, context.partitions) == (error, [])
    assert (response.error_code, response.session_id, response.responses) == (error, 0, [])
    assert wanted(sessions.resolve(request(1, 1), 12, 0)) == [("t", 0)]


def test_a_session_by_ids_refuses_names() -> None:
    sessions = cache(names={ID_A: "a"})
    assert opened(sessions, {ID_A: [0]}, version=13) == 1
    assert sessions.resolve(request(1, 1), 12, 0).error is ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
    assert sessions.resolve(request(1, 1), 18, 0).error is ErrorCode.NONE


@pytest.mark.parametrize(("epoch", "left"), [(-1, 0), (0, 1)])
def test_a_full_request_closes_the_session_it_names(epoch: int, left: int) -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    response = quiet(sessions.resolve(request(1, epoch, {"t": [3]}), 12, 0))
    assert told(response) == [("t", 3)]
    assert response.session_id == (2 if epoch == 0 else 0)
    assert len(sessions) == left
    assert sessions.resolve(request(1, 1), 12, 0).error is ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_request_that_comes_twice_while_the_first_waits() -> None:
    sessions = cache()
    opened(sessions, {"t": [0]})
    waiting = sessions.resolve(request(1, 1), 12, 0)
    assert sessions.resolve(request(1, 1), 12, 0).error is ErrorCode.INVALID_FETCH_SESSION_EPOCH
    overtaking = sessions.resolve(request(1, 2), 12, 0)
    response = quiet(waiting, high_watermark=99)
    assert (response.error_code, told(response)) == (ErrorCode.INVALID_FETCH_SESSION_EPOCH, [])
    assert told(quiet(overtaking, high_watermark=99)) == [("t", 0)]


def test_topic_ids_are_named_and_grouped() -> None:
    sessions = cache(names={ID_A: "a"})
    context = sessions.resolve(request(0, -1, {ID_A: [0, 1], ID_B: [0]}), 13, 0)
    assert [(name, topic_id, params.partition) for name, topic_id, params in context.partitions] == [
        ("a", ID_A, 0),
        ("a", ID_A, 1),
        (None, ID_B, 0),
    ]
    response = quiet(context)
    assert [(topic.topic_id, len(topic.partitions)) for topic in response.responses] == [(ID_A, 2), (ID_B, 1)]


def test_requests_by_name_have_no_id() -> None:
    assert cache().resolve(request(0, -1, {"t": [0]}), 12, 0).partitions[0][1] == ZERO_UUID


def test_a_name_is_found_later_and_then_kept() -> None:
    """A topic made again under the same name must not pass for the old one: the old id keeps its name."""
    names: dict[bytes, str] = {}
    sessions = FetchSessionCache(names.get, new_id=lambda: 7)
    opened(sessions, {ID_A: [0]}, version=13)
    assert wanted(sessions.resolve(request(7, 1), 13, 0)) == [(None, 0)]
    names[ID_A] = "a"
    assert wanted(sessions.resolve(request(7, 2), 13, 0)) == [("a", 0)]
    del names[ID_A]
    assert wanted(sessions.resolve(request(7, 3, {ID_A: [0]}), 13, 0)) == [("a", 0)]


def test_ids_are_forgotten_by_id() -> None:
    sessions = cache(names={ID_A: "a", ID_B: "b"})
    opened(sessions, {ID_A: [0], ID_B: [0]}, version=13)
    assert wanted(sessions.resolve(request(1, 1, forget={ID_A: [0]}), 13, 0)) == [("b", 0)]


def test_a_full_cache_answers_without_a_session() -> None:
    sessions = cache(slots=1)
    assert opened(sessions, {"t": [0]}) == 1
    assert opened(sessions, {"t": [0, 1]}) == 0
    assert sessions.evictions == 0
    assert opened(cache(slots=0), {"t": [0]}) == 0


def test_session_ids_are_unique_and_not_zero() -> None:
    ids = iter([0, 5, 5, 0, 6])
    sessions = FetchSessionCache(NO_TOPICS.get, new_id=ids.__next__)
    assert [opened(sessions, {"t": [0]}) for _ in range(2)] == [5, 6]


def test_random_ids_are_positive() -> None:
    sessions = FetchSessionCache(NO_TOPICS.get)
    assert all(0 < opened(sessions, {"t": [0]}) <= EPOCH_MAX for _ in range(50))
    assert len(sessions) == 50


def opened_at(sessions: FetchSessionCache, now_ms: int, size: int, replica_id: int = -1) -> int:
    asked = request(0, 0, {"t": range(size)}, replica_id=replica_id)
    return quiet(sessions.resolve(asked, 12, now_ms), now_ms).session_id


def test_a_stale_session_makes_room() -> None:
    sessions = cache(slots=2)
    opened_at(sessions, 0, 5)
    opened_at(sessions, 0, 5)
    sessions.resolve(request(1, 1), 12, 1_000)
    assert opened_at(sessions, SAFE_MS, 1) == 0, "not stale yet"
    assert opened_at(sessions, SAFE_MS + 1_001, 1) == 3
    assert sessions.resolve(request(2, 1), 12, 0).error is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert sessions.evictions == 1


def test_a_larger_session_replaces_a_smaller_old_one() -> None:
    sessions = cache(slots=2)
    opened_at(sessions, 0, 3)
    opened_at(sessions, 0, 2)
    later = SAFE_MS + 1
    for session_id in (1, 2):
        sessions.resolve(request(session_id, 1), 12, later)
    assert opened_at(sessions, later, 2) == 0, "not larger"
    assert opened_at(sessions, later + 500, 9) == 0, "looks for room once a second at most"
    assert opened_at(sessions, later + 1_000, 3) == 3
    assert sessions.resolve(request(2, 2), 12, later).error is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert sessions.resolve(request(1, 2), 12, later).error is ErrorCode.NONE


def test_sessions_share_a_bound_on_partitions() -> None:
    sessions = cache(partitions_max=10)
    assert opened_at(sessions, 0, 6) == 1
    assert opened_at(sessions, 0, 5) == 0
    assert opened_at(sessions, 0, 4) == 2
    assert opened_at(sessions, SAFE_MS + 1, 10) == 3, "both are stale by now"
    assert (len(sessions), sessions.partitions_cached, sessions.evictions) == (1, 10, 2)
    assert opened_at(sessions, 3 * SAFE_MS, 11) == 0


def test_a_session_that_outgrows_the_bound_ends() -> None:
    sessions = cache(partitions_max=10)
    opened_at(sessions, 0, 6)
    assert sessions.resolve(request(1, 1, {"u": range(4)}), 12, 0).error is ErrorCode.NONE
    assert sessions.resolve(request(1, 2), 12, 0).error is ErrorCode.NONE
    outgrown = sessions.resolve(request(1, 3, {"v": [0]}), 12, 0)
    assert outgrown.error is ErrorCode.FETCH_SESSION_ID_NOT_FOUND
    assert (len(sessions), sessions.partitions_cached) == (0, 0)


def test_a_young_session_is_safe_from_a_larger_one() -> None:
    sessions = cache(slots=1)
    opened_at(sessions, 0, 1)
    assert opened_at(sessions, SAFE_MS, 100) == 0


@pytest.mark.parametrize("version", [12, 15])
def test_a_follower_replaces_a_consumer_at_once(version: int) -> None:
    sessions = cache(slots=1)
    opened_at(sessions, 0, 100)
    follower = request(0, 0, {"t": [0]})
    if version < 15:
        follower.replica_id = 3
    else:
        follower.replica_state = FetchRequest.ReplicaState(replica_id=3)
    assert quiet(sessions.resolve(follower, version, 0)).session_id == 2
    assert opened_at(sessions, 5_000, 100) == 0, "and is safe from consumers"
    assert opened_at(sessions, 5_000, 100, replica_id=4) == 0, "and from other followers while young"


def test_an_old_follower_yields_to_a_larger_one_but_not_to_a_consumer() -> None:
    sessions = cache(slots=1)
    opened_at(sessions, 0, 2, replica_id=3)
    later = SAFE_MS + 1
    sessions.resolve(request(1, 1), 12, later)
    assert opened_at(sessions, later, 100) == 0
    assert opened_at(sessions, later + 1_000, 3, replica_id=4) == 2

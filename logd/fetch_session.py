"""Fetch sessions: a fetcher names its partitions once, then only what changed (KIP-227).

`FetchSessionCache.resolve` turns a request into a `FetchContext`: which partitions to read, with which parameters,
in which order. When they are read, its `finish` makes the response and says which of them belong in it.

| session id, epoch | meaning                       | answer                                                      |
|-------------------|-------------------------------|-------------------------------------------------------------|
| 0, -1             | no session                    | every partition, session id 0                               |
| 0, 0              | full, open a session          | every partition, a new id, or 0 when the cache is full      |
| N, 0 / N, -1      | close N, then as above        | as above                                                    |
| N, e >= 1         | incremental                   | what changed; e + 1 is expected next, 1 after 2^31 - 1      |
| unknown N         |                               | FETCH_SESSION_ID_NOT_FOUND                                  |
| N, other e        | a request was lost or doubled | INVALID_FETCH_SESSION_EPOCH                                 |
| N by ids, version below 13, or N by names, version 13 up | | FETCH_SESSION_TOPIC_ID_ERROR                     |

A partition is in an incremental answer when it has records, its high watermark or log start moved, a replica to
prefer, an error, or has diverged. One that had records goes to the end of the order, so that none starves behind
busy ones. Without a session nothing is kept and nothing is looked up.

Not here: reading, waiting, the limits on bytes. No IO and no clock: now comes in as an argument.
Source: KIP-227, KIP-516. Checked against apache/kafka FetchSession.scala. Deviations: a partition that is named
twice in one request is answered twice; a refused session looks for one to evict at most once a second; the
partitions of all sessions together are bounded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from protocol.errors import ErrorCode
from protocol.messages.fetch import FetchRequest, FetchResponse
from protocol.types import ZERO_UUID, Offset, TimestampMs

SLOTS: Final = 1000
"""Kafka's default of max.incremental.fetch.session.cache.slots."""
PARTITIONS_MAX: Final = 50_000
"""Partitions over all sessions, at about 350 bytes each. A client may name as many as it likes in every session."""
SAFE_MS: Final = 120_000
"""A session unused for longer is stale; one younger is not evicted for a larger one."""

_NO_SESSION: Final = 0
_NO_ERROR: Final = ErrorCode.NONE  # looked up once: an enumeration's members are slow to get at
_FULL_EPOCHS: Final = (-1, 0)
"""-1 wants no session, 0 wants one."""
_EPOCH_MAX: Final = 0x7FFFFFFF
_TOPIC_IDS_VERSION: Final = 13
_REPLICA_STATE_VERSION: Final = 15
_EVICTION_RETRY_MS: Final = 1_000

Params: TypeAlias = FetchRequest.FetchPartition
Answer: TypeAlias = FetchResponse.PartitionData

FetchTarget: TypeAlias = tuple[str | None, bytes, Params]
"""Topic name (None when no topic has the id), topic id (zero in requests by name), what is asked of the partition."""

_Key: TypeAlias = tuple[str | bytes, int]


class FetchContext:
    """One fetch request without a session, and the base of the others.

    `partitions` is to be read in order; `finish` takes one answer for each. With an `error` there are none.
    """

    __slots__ = ("error", "partitions")

    def __init__(self, partitions: list[FetchTarget], error: ErrorCode = _NO_ERROR) -> None:
        self.partitions = partitions
        self.error = error

    def finish(self, answers: Sequence[Answer], now_ms: TimestampMs) -> FetchResponse:
        """Return the response; `answers` go with `partitions`. To be called once."""
        return FetchResponse(
            error_code=self.error, session_id=_NO_SESSION, responses=_by_topic(self.partitions, answers)
        )


class FetchSessionCache:
    """The sessions of one broker."""

    def __init__(
        self,
        topic_name: Callable[[bytes], str | None],
        *,
        slots: int = SLOTS,
        partitions_max: int = PARTITIONS_MAX,
        new_id: Callable[[], int] | None = None,
    ) -> None:
        """`topic_name` finds the name of a topic id; `new_id` draws a random int32 above 0."""
        self._topic_name = topic_name
        self._slots = slots
        self._partitions_max = partitions_max
        self._new_id = new_id or _random_id
        self._sessions: dict[int, _Session] = {}  # least recently used first
        self._no_eviction_before_ms = 0
        self.evictions = 0
        """How many sessions had to make room for others."""

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def partitions_cached(self) -> int:
        """Partitions over all sessions."""
        return sum(len(session.partitions) for session in self._sessions.values())

    def resolve(self, request: FetchRequest, version: int, now_ms: TimestampMs) -> FetchContext:
        """Return what `request` asks for; an open session moves to its next epoch."""
        epoch = request.session_epoch
        if epoch not in _FULL_EPOCHS:
            return self._resolve_incremental(request, version, now_ms)
        if request.session_id:
            self._sessions.pop(request.session_id, None)
        by_id = version >= _TOPIC_IDS_VERSION
        targets = self._targets(request, by_id)
        if epoch:
            return FetchContext(targets)
        return _OpeningContext(self, targets, by_id, replica_id_of(request, version) >= 0)

    def _targets(self, request: FetchRequest, by_id: bool) -> list[FetchTarget]:
        if not by_id:
            return [
                (topic.topic, ZERO_UUID, params) for topic in request.topics for params in topic.partitions
            ]
        targets: list[FetchTarget] = []
        for topic in request.topics:
            topic_id = topic.topic_id
            name = self._topic_name(topic_id)
            targets += [(name, topic_id, params) for params in topic.partitions]
        return targets

    def _resolve_incremental(self, request: FetchRequest, version: int, now_ms: TimestampMs) -> FetchContext:
        session = self._sessions.get(request.session_id)
        if session is None:
            return FetchContext([], ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            return FetchContext([], ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        by_id = version >= _TOPIC_IDS_VERSION
        if session.by_id != by_id:
            return FetchContext([], ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.update(self._targets(request, by_id))
        for topic in request.forgotten_topics_data:
            session.forget(topic.topic_id if by_id else topic.topic, topic.partitions)
        has_outgrown = bool(request.topics) and self.partitions_cached > self._partitions_max
        del self._sessions[session.session_id]
        if has_outgrown:
            return FetchContext([], ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if not session.partitions:
            return FetchContext([])
        self._sessions[session.session_id] = session
        session.last_used_ms = now_ms
        session.epoch = 1 if session.epoch == _EPOCH_MAX else session.epoch + 1
        if session.has_unknown_names:
            session.find_names(self._topic_name)
        return _IncrementalContext(session)

    def open(
        self,
        targets: Sequence[FetchTarget],
        answers: Sequence[Answer],
        *,
        by_id: bool,
        privileged: bool,
        now_ms: TimestampMs,
    ) -> int:
        """Keep what was asked and answered as a new session; return its id, or 0 when there is no room."""
        if len(self._sessions) >= self._slots and not self._make_room(len(targets), privileged, now_ms):
            return _NO_SESSION
        if not self._has_room_for(len(targets), now_ms):
            return _NO_SESSION
        session_id = self._new_id()
        while session_id in self._sessions or session_id == _NO_SESSION:
            session_id = self._new_id()
        session = self._sessions[session_id] = _Session(session_id, by_id, privileged, now_ms)
        session.update(targets)
        for target, answer in zip(targets, answers, strict=True):
            session.partitions[_key(target, by_id)].take_news(answer)
        return session_id

    def _has_room_for(self, partitions: int, now_ms: TimestampMs) -> bool:
        """Whether that many more may be kept. Stale sessions give way."""
        excess = self.partitions_cached + partitions - self._partitions_max
        for session in list(self._sessions.values()) if excess > 0 else ():
            if now_ms - session.last_used_ms <= SAFE_MS:
                break
            excess -= len(session.partitions)
            del self._sessions[session.session_id]
            self.evictions += 1
            if excess <= 0:
                break
        return excess <= 0

    def _make_room(self, size: int, privileged: bool, now_ms: TimestampMs) -> bool:
        """Evict one session that is worth less than a new one of `size` partitions; return whether there was one.

        The first that applies: the least recently used one, when stale; a consumer's, for a follower; the one
        with the fewest partitions, when it has fewer and its safe time is over.
        """
        if not self._sessions or now_ms < self._no_eviction_before_ms:
            return False
        victim = next(iter(self._sessions.values()))
        if now_ms - victim.last_used_ms <= SAFE_MS:
            candidates = [
                session
                for session in self._sessions.values()
                if now_ms - session.created_ms > SAFE_MS or (privileged and not session.privileged)
            ]
            victim = min(candidates, key=_worth, default=victim)
            if not candidates or _worth(victim) >= (privileged, size):
                self._no_eviction_before_ms = now_ms + _EVICTION_RETRY_MS
                return False
        del self._sessions[victim.session_id]
        self.evictions += 1
        return True


class _CachedPartition:
    """A partition of a session: what was asked last, and what was told last."""

    __slots__ = ("high_watermark", "key", "log_start_offset", "target")

    def __init__(self, key: _Key, target: FetchTarget) -> None:
        self.key = key
        self.target = target
        self.high_watermark: Offset = -1
        """As last answered; -1 also after an error, so that its end is told."""
        self.log_start_offset: Offset = -1

    def take_news(self, answer: Answer) -> bool:
        """Remember `answer`; return whether it tells the fetcher anything."""
        news = bool(answer.records) or answer.preferred_read_replica != -1
        if answer.high_watermark != self.high_watermark:
            self.high_watermark = answer.high_watermark
            news = True
        if answer.log_start_offset != self.log_start_offset:
            self.log_start_offset = answer.log_start_offset
            news = True
        if answer.error_code:
            self.high_watermark = -1
            return True
        return news or (answer.diverging_epoch is not None and answer.diverging_epoch.epoch >= 0)


class _Session:
    """What one fetcher has asked for. `epoch` is the one that its next request must carry."""

    __slots__ = (
        "by_id",
        "created_ms",
        "epoch",
        "has_unknown_names",
        "last_used_ms",
        "partitions",
        "privileged",
        "session_id",
    )

    def __init__(self, session_id: int, by_id: bool, privileged: bool, now_ms: TimestampMs) -> None:
        self.session_id = session_id
        self.by_id = by_id
        self.privileged = privileged
        """A follower's."""
        self.created_ms = self.last_used_ms = now_ms
        self.epoch = 1
        self.has_unknown_names = False
        self.partitions: dict[_Key, _CachedPartition] = {}
        """In the order in which they are read."""

    def update(self, targets: Sequence[FetchTarget]) -> None:
        """Add partitions, or change what is asked of them; a name once known for an id stays."""
        partitions = self.partitions
        by_id = self.by_id
        for target in targets:
            key = _key(target, by_id)
            known = partitions.get(key)
            if known is None:
                partitions[key] = _CachedPartition(key, target)
                self.has_unknown_names |= target[0] is None
            else:
                known.target = (known.target[0] or target[0], *target[1:])

    def forget(self, topic: str | bytes, indexes: Sequence[int]) -> None:
        for index in indexes:
            self.partitions.pop((topic, index), None)

    def find_names(self, topic_name: Callable[[bytes], str | None]) -> None:
        """Look again for the names of topic ids that no topic had before."""
        self.has_unknown_names = False
        for partition in self.partitions.values():
            name, topic_id, params = partition.target
            if name is None:
                name = topic_name(topic_id)
                partition.target = (name, topic_id, params)
                self.has_unknown_names |= name is None


class _OpeningContext(FetchContext):
    """A full request that asks for a session."""

    __slots__ = ("_by_id", "_cache", "_privileged")

    def __init__(
        self, cache: FetchSessionCache, partitions: list[FetchTarget], by_id: bool, privileged: bool
    ) -> None:
        super().__init__(partitions)
        self._cache = cache
        self._by_id = by_id
        self._privileged = privileged

    def finish(self, answers: Sequence[Answer], now_ms: TimestampMs) -> FetchResponse:
        response = super().finish(answers, now_ms)
        response.session_id = self._cache.open(
            self.partitions, answers, by_id=self._by_id, privileged=self._privileged, now_ms=now_ms
        )
        return response


class _IncrementalContext(FetchContext):
    """A request within a session."""

    __slots__ = ("_cached", "_epoch", "_session")

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._epoch = session.epoch
        self._cached = list(session.partitions.values())
        super().__init__([partition.target for partition in self._cached])

    def finish(self, answers: Sequence[Answer], now_ms: TimestampMs) -> FetchResponse:
        session = self._session
        # The same request may have come again, on another connection, while this one waited.
        if session.epoch != self._epoch:
            return FetchResponse(
                error_code=ErrorCode.INVALID_FETCH_SESSION_EPOCH, session_id=session.session_id
            )
        targets = []
        told = []
        order = session.partitions
        for partition, answer in zip(self._cached, answers, strict=True):
            if partition.take_news(answer):
                targets.append(partition.target)
                told.append(answer)
                if answer.records:
                    order[partition.key] = order.pop(partition.key)
        return FetchResponse(session_id=session.session_id, responses=_by_topic(targets, told))


def _by_topic(
    targets: Sequence[FetchTarget], answers: Sequence[Answer]
) -> list[FetchResponse.FetchableTopicResponse]:
    """Group what follows one another within a topic; the order stays."""
    responses: list[FetchResponse.FetchableTopicResponse] = []
    last: FetchResponse.FetchableTopicResponse | None = None
    for (name, topic_id, _), answer in zip(targets, answers, strict=True):
        topic = name or ""
        if last is None or last.topic != topic or last.topic_id != topic_id:
            last = FetchResponse.FetchableTopicResponse(topic=topic, topic_id=topic_id, partitions=[])
            responses.append(last)
        last.partitions.append(answer)
    return responses


def _key(target: FetchTarget, by_id: bool) -> _Key:
    return target[1] if by_id else target[0] or "", target[2].partition


def _worth(session: _Session) -> tuple[bool, int]:
    return session.privileged, len(session.partitions)


def replica_id_of(request: FetchRequest, version: int) -> int:
    """The follower that fetches; negative for a consumer."""
    if version < _REPLICA_STATE_VERSION:
        return request.replica_id
    return -1 if request.replica_state is None else request.replica_state.replica_id


def _random_id() -> int:
    return int.from_bytes(os.urandom(4), "big") & 0x7FFFFFFF

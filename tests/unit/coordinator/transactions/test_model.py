"""Goal: whatever producers, partitions, time and restarts do to one id, it is told what Kafka's coordinator would tell.

Method: random steps against a model that is written down as Kafka's TransactionCoordinator.scala decides, condition by
condition, with numbers where the coordinator has values and functions. Producers use any identity that was ever told,
and some that were not. After every step the log is replayed, and has to give what serving made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from coordinator.transactions.transaction import Identity
from protocol.errors import ErrorCode
from tests.support.transactions import (
    ID,
    P0,
    P1,
    TransactionWorld,
    add_request,
    end_request,
    identity_in,
    init_request,
)

CT, ITS = ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.INVALID_TXN_STATE
PF, MAP, NONE = ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_ID_MAPPING, ErrorCode.NONE
LOADING, TIMED_OUT = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.REQUEST_TIMED_OUT
MAX = 32_767
TIMEOUT_MS = 60_000

Told = Identity | ErrorCode


@dataclass
class Model:
    """One id. States by their first letters: E, O, PC, PA, CC, CA."""

    level: int
    next_id: int = 1000
    """What the source of producer ids gives next; -1 for nothing."""
    state: str = ""
    """Empty while the id is not known."""
    pid: int = -1
    epoch: int = -1
    last: int = -1
    """Kafka's lastProducerEpoch: in memory only."""
    prev: int = -1
    next: int = -1
    version: int = 0
    started_ms: int = -1
    partitions: frozenset[Any] = field(default_factory=frozenset)

    def become(self, state: str, **changes: Any) -> None:
        old_pid = self.pid
        for name, value in changes.items():
            setattr(self, name, value)
        self.state = state
        in_full = self.level >= 1 or self.version > 0
        self.prev = (old_pid if old_pid != -1 else self.pid) if in_full else -1

    def init(self, claimed: Identity | None, now_ms: int, ids: bool) -> Told:  # noqa: PLR0911 - as Kafka has it
        if self.state == "":
            if not ids:
                return LOADING
            self.become("E", pid=self._draw(), epoch=0, started_ms=-1)
            return Identity(self.pid, self.epoch)
        if self.state in ("PC", "PA"):
            return CT
        if (
            claimed is not None
            and claimed[0] != self.pid
            and (claimed[0] != self.prev or claimed[1] < MAX - 1)
        ):
            return PF
        if self.state == "O":
            if claimed not in (None, (self.pid, self.epoch)):
                return PF  # Kafka looks at the epoch only when it has aborted; see docs/gaps.md
            return self.fence(now_ms, ids) or CT
        if self.epoch >= MAX - 1 and (claimed is None or claimed[1] == self.epoch):
            if not ids:
                return LOADING
            last = -1 if claimed is None else self.epoch
            changes = {"pid": self._draw(), "epoch": 0, "last": last}
        elif claimed is None:
            changes = {"epoch": self.epoch + 1, "last": -1}
        elif claimed[1] == self.epoch:
            changes = {"epoch": self.epoch + 1, "last": self.epoch}
        elif claimed[1] == self.last:
            changes = {}
        else:
            return PF
        self.become("E", partitions=frozenset(), started_ms=-1, **changes)
        return Identity(self.pid, self.epoch)

    def add(self, who: Identity, partitions: frozenset[Any], version: int, now_ms: int) -> ErrorCode:
        if self.state == "":
            return MAP
        if self.state in ("PC", "PA"):
            return CT
        if who[0] != self.pid:
            return MAP
        if who[1] != self.epoch:
            return PF
        if not (self.state == "O" and partitions <= self.partitions):
            started_ms = self.started_ms if self.state == "O" else now_ms
            self.become(
                "O",
                partitions=self.partitions | partitions,
                version=2 if version >= 4 else 0,
                started_ms=started_ms,
            )
        return NONE

    def verify(self, who: Identity, partition: Any) -> ErrorCode:
        if self.state == "" or who[0] != self.pid:
            return MAP
        if who[1] != self.epoch:
            return PF
        if self.state in ("PC", "PA"):
            return CT
        return NONE if partition in self.partitions else ErrorCode.TRANSACTION_ABORTABLE

    def end(  # noqa: PLR0911 - as Kafka has it
        self, who: Identity, commit: bool, version: int, now_ms: int, ids: bool
    ) -> Told:
        if self.state == "":
            return MAP
        same, other = ("CC", "CA") if commit else ("CA", "CC")
        if version < 5:
            if who[0] != self.pid:
                return MAP
            if who[1] != self.epoch:
                return PF
            if self.state in ("PC", "PA"):
                return CT
            if self.state == "O":
                self.decide(commit, 0, now_ms, bump=False)
                return NONE
            return NONE if self.state == same else ITS
        if self.state in ("PC", "PA"):
            return CT
        on_overflow = self.prev == who[0] and who[1] == MAX - 1 and self.epoch == 0
        on_bump = self.epoch == who[1] + 1
        if who[0] != self.pid and not on_overflow:
            return MAP
        repeat = on_overflow or on_bump
        if not (who[1] == self.epoch or (self.state in ("CC", "CA") and repeat)):
            return PF
        if self.state in ("CC", "CA") and repeat:
            if self.version < 2 or self.epoch == MAX:
                return PF  # Kafka has the producer go on as whoever has that epoch, or with one that cannot be fenced
            return Identity(self.pid, self.epoch) if self.state == same else ITS
        if commit and self.state != "O":
            return ITS
        assert self.state in ("E", "O", same, other)
        return self.end_tv2(commit, now_ms, ids)

    def fence(self, now_ms: int, ids: bool) -> ErrorCode:
        """The coordinator aborts."""
        if self.level >= 2:
            outcome = self.end_tv2(False, now_ms, ids)
            return outcome if isinstance(outcome, ErrorCode) else NONE
        self.decide(False, 0, now_ms, bump=True)
        self.last = -1
        return NONE

    def end_tv2(self, commit: bool, now_ms: int, ids: bool) -> Told:
        next_id = -1
        if self.epoch >= MAX - 1:
            if not ids:
                return LOADING
            next_id = self._draw()
        last = self.epoch
        self.decide(commit, 2, now_ms, bump=True, next_id=next_id)
        self.last = last
        if next_id != -1:
            return Identity(next_id, 0)
        return Identity(self.pid, self.epoch)

    def decide(self, commit: bool, version: int, now_ms: int, *, bump: bool, next_id: int = -1) -> None:
        self.become(
            "PC" if commit else "PA",
            epoch=min(self.epoch + 1, MAX) if bump else self.epoch,
            version=version,
            next=next_id,
            started_ms=self.started_ms if self.state == "O" else now_ms,
        )
        if not self.partitions:
            self.complete()

    def complete(self) -> None:
        pid, epoch = (self.pid, self.epoch) if self.next == -1 else (self.next, 0)
        self.become("C" + self.state[1], pid=pid, epoch=epoch, next=-1, partitions=frozenset())

    def is_over(self, now_ms: int) -> bool:
        return self.state == "O" and self.started_ms + TIMEOUT_MS < now_ms

    def _draw(self) -> int:
        self.next_id += 1
        return self.next_id - 1


LABELS = {
    "E": "Empty",
    "O": "Ongoing",
    "PC": "PrepareCommit",
    "PA": "PrepareAbort",
    "CC": "CompleteCommit",
    "CA": "CompleteAbort",
}


class Run:
    """The coordinator and the model, side by side."""

    def __init__(self, level: int, epoch: int) -> None:
        self.world = TransactionWorld(level=level)
        self.model = Model(level)
        self.told = [Identity(77, 0)]
        """Every identity that a producer was told, in order; the first was told by nobody."""
        self.given_up: dict[Identity, Identity | None] = {}
        """By identity that was told: what the producer was before; None for a stranger."""
        self.request("init", None, None)
        self.world.given(self.world.transaction._replace(producer_epoch=epoch))
        self.model.epoch = epoch
        self.told.append(self.world.identity)

    def step(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("init" | "add" | "verify" | "end" as kind, who, detail):
                identity = None if who is None else self.told[max(-1 - who, -len(self.told))]
                self.request(kind, identity, detail)
            case ("markers", codes):
                self.markers(codes)
            case ("wait", ms):
                self.wait(ms)
            case ("restart",):
                self.world.restart()
                self.model.last = -1
            case ("refuse", refused):
                self.world.writer.refusal = ErrorCode.NOT_ENOUGH_REPLICAS if refused else None
            case ("ids", there):
                self.world.producer_ids.used_up = not there
            case ("level", level):
                self.world.feature.level = self.model.level = level
        self.check()

    def request(self, kind: str, who: Identity | None, detail: Any) -> None:
        world, before = self.world, replace(self.model)
        length = len(world.log)
        expected, response = self._both(kind, who, detail)
        if response is ErrorCode.COORDINATOR_NOT_AVAILABLE:
            assert world.writer.refusal is not None
            self.model = replace(before, next_id=self.model.next_id)  # an id that was drawn is gone
            assert len(world.log) == length
            return
        outcome = self._outcome(kind, response)
        event(f"{kind}: {outcome.name if isinstance(outcome, ErrorCode) else 'identity'}")
        assert outcome == expected
        if isinstance(outcome, Identity):
            is_new = outcome not in self.told
            assert is_new or (who is not None and self.given_up[outcome] == who), "it is somebody else's"
            self.given_up[outcome] = who
            self.told.append(outcome)
        if kind == "add" and outcome is NONE:
            assert who == self.told[-1], "only the last producer can write"

    def _both(self, kind: str, who: Identity | None, detail: Any) -> tuple[Told, Any]:
        world, model = self.world, self.model
        now_ms, ids = world.now_ms, not world.producer_ids.used_up
        if kind == "init":
            return model.init(who, now_ms, ids), world.call(init_request(who, timeout_ms=TIMEOUT_MS), 5)
        assert who is not None
        if kind == "add":
            partitions, version = detail
            response = world.call(add_request(who, partitions, ID, version), version)
            return model.add(who, frozenset(partitions), version, now_ms), response
        if kind == "verify":
            request = add_request(who, [detail], verify_only=True)
            return model.verify(who, detail), world.call(request, 4)
        commit, version = detail
        response = world.call(end_request(who, commit=commit), version)
        return model.end(who, commit, version, now_ms, ids), response

    def _outcome(self, kind: str, response: Any) -> Told:
        if kind not in ("add", "verify"):
            return identity_in(response)
        results = response.results_by_transaction
        topics = results[0].topic_results if results else response.results_by_topic_v3_and_below
        codes = {each.partition_error_code for topic in topics for each in topic.results_by_partition}
        (code,) = codes
        return ErrorCode(code)

    def markers(self, codes: list[ErrorCode]) -> None:
        """Have partitions answer what was sent to them."""
        world = self.world
        if not world.outbox.sent:
            return
        left = world.outbox.sent[0].partitions
        told = dict(zip((P0, P1), codes, strict=True))
        world.answer_markers(**{f"t_{each.partition}": told[each] for each in left})
        if all(told[each] is NONE for each in left) and world.writer.refusal is None:
            self.model.complete()

    def wait(self, ms: int) -> None:
        """Let time pass, without looking inside: timers may abort, complete, and ask again."""
        world, model = self.world, self.model
        end = world.now_ms + ms
        while (due_ms := world.runtime.next_due()) is not None and due_ms <= end:
            state = model.state
            length = len(world.log)
            world.tick(max(due_ms - world.now_ms, 0))
            if len(world.log) == length:
                model.next_id = world.producer_ids.given + 1  # what was drawn for nothing is gone
                continue
            if state in ("PC", "PA"):
                model.complete()  # that could not be written before
            else:
                assert model.is_over(world.now_ms)
                assert model.fence(world.now_ms, ids=True) is NONE
        world.tick(end - world.now_ms)
        stuck = world.writer.refusal is not None or world.producer_ids.used_up
        assert stuck or ms < 20_000 or not model.is_over(world.now_ms - 10_000)

    def check(self) -> None:
        world, model = self.world, self.model
        world.check_replay()
        transaction = world.transaction
        assert transaction.state.label == LABELS[model.state]
        assert transaction.identity == (model.pid, model.epoch)
        assert frozenset(transaction.partitions) == model.partitions
        assert transaction.previous_producer_id == model.prev
        assert transaction.next_producer_id == model.next
        assert transaction.started_ms == model.started_ms
        if model.state in ("PC", "PA"):
            assert world.outbox.sent or any(key[0] == "transaction markers" for key in world.runtime._due)
        else:
            assert not world.outbox.sent


WHO = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 4])
"""Of the identities that were told, counted from the last."""
PARTITIONS = st.sampled_from([[P0], [P1], [P0, P1]])
CODES = st.sampled_from(
    [[NONE, NONE], [NONE, NONE], [NONE, TIMED_OUT], [TIMED_OUT, NONE], [TIMED_OUT, TIMED_OUT]]
)
STEP = st.one_of(
    st.tuples(st.just("init"), st.none() | WHO, st.none()),
    st.tuples(st.just("add"), WHO, st.tuples(PARTITIONS, st.sampled_from([3, 4]))),
    st.tuples(st.just("add"), st.just(0), st.tuples(PARTITIONS, st.sampled_from([3, 4]))),
    st.tuples(st.just("verify"), WHO, st.sampled_from([P0, P1])),
    st.tuples(st.just("end"), WHO, st.tuples(st.booleans(), st.sampled_from([4, 5, 5]))),
    st.tuples(st.just("end"), st.just(1), st.tuples(st.booleans(), st.sampled_from([4, 5, 5]))),
    st.tuples(st.just("markers"), CODES),
    st.tuples(st.just("markers"), st.just([NONE, NONE])),
    st.tuples(st.just("wait"), st.sampled_from([20, 5_000, 70_000])),
    st.sampled_from([("restart",), ("refuse", True), ("refuse", False), ("refuse", False)]),
    st.sampled_from([("ids", True), ("ids", True), ("ids", False), ("level", 0), ("level", 1), ("level", 2)]),
)
STEPS = st.lists(STEP, min_size=10, max_size=60)


@given(level=st.integers(0, 2), epoch=st.sampled_from([0, MAX - 4, MAX - 2, MAX - 1]), steps=STEPS)
@settings(max_examples=400)
def test_one_id_is_told_what_kafka_would_tell(level: int, epoch: int, steps: list[tuple[Any, ...]]) -> None:
    run = Run(level, epoch)
    run.check()
    for step in steps:
        run.step(step)


@pytest.mark.slow
@given(level=st.integers(0, 2), epoch=st.sampled_from([0, MAX - 4, MAX - 2, MAX - 1]), steps=STEPS)
@settings(max_examples=2_000)
def test_one_id_is_told_what_kafka_would_tell_at_length(
    level: int, epoch: int, steps: list[tuple[Any, ...]]
) -> None:
    run = Run(level, epoch)
    for step in steps:
        run.step(step)

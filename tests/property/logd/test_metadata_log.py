"""Random commands, crashes and restarts of the metadata log against a dictionary.

Goal: what was answered is there after any crash; what was in hand is there from the front on or not at all; nothing
else is. No producer id is handed out twice, and epochs of the log only rise.
Method: steps submit up to four commands at once. A crash is taken behind some file operation in the middle of a step,
with one of the three kinds of loss, and the run goes on with what it left. The model knows names, epochs and settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from logd.metadata.log import MetadataLog
from protocol.configs import ConfigOperation, ConfigResourceType
from replication.metadata_commands import (
    AllocateProducerIds,
    AlterConfigs,
    Command,
    ConfigChange,
    CreateTopics,
    DeleteTopics,
    NewTopic,
    RaiseLeaderEpochs,
)
from replication.metadata_image import MetadataImage
from storage.fs.faulty import FaultyFileSystem, Loss, Operation
from tests.support.metadata_store import NODE_ID, Clock, open_store
from tests.support.metadata_world import registration

NAMES = ("a", "a.b", "a_b", "c", "bad/name")
BLOCK = 1000


@dataclass(frozen=True)
class Create:
    name: str
    partitions: int
    retention: str | None


@dataclass(frozen=True)
class Delete:
    name: str


@dataclass(frozen=True)
class Alter:
    name: str
    retention: str | None
    """None takes the setting away."""


@dataclass(frozen=True)
class Allocate:
    pass


@dataclass(frozen=True)
class Raise:
    pass


@dataclass(frozen=True)
class Submit:
    ops: tuple[Create | Delete | Alter | Allocate | Raise, ...]
    crash_after: int | None
    """Crash behind the file operation of this number, counted from the beginning of the step."""
    loss: Loss


@dataclass(frozen=True)
class Restart:
    clean: bool


@dataclass(frozen=True)
class Wait:
    ms: int


Step: TypeAlias = Submit | Restart | Wait
Topic: TypeAlias = tuple[tuple[int, ...], str | None]
"""Leader epoch of each partition, retention.ms."""
Model: TypeAlias = tuple[dict[str, Topic], int]
"""Topics by name, next producer id."""

OPS = st.one_of(
    st.builds(Create, st.sampled_from(NAMES), st.integers(1, 3), st.sampled_from([None, "5", "nonsense"])),
    st.builds(Delete, st.sampled_from(NAMES)),
    st.builds(Alter, st.sampled_from(NAMES), st.sampled_from([None, "5", "6", "nonsense"])),
    st.just(Allocate()),
)
GROUPS = st.lists(OPS, min_size=1, max_size=4).map(tuple) | st.just((Raise(),))  # as at a start: alone
STEPS = st.one_of(
    st.builds(Submit, GROUPS, st.none() | st.integers(1, 12), st.sampled_from(Loss)),
    st.builds(Restart, st.booleans()),
    st.builds(Wait, st.just(61_000)),
)


def states_of(model: Model, ops: Sequence[Create | Delete | Alter | Allocate | Raise]) -> list[Model]:
    """What the model is before the first command and after each. A deletion means the topic of before the step."""
    states = [model]
    former = set(model[0])
    for op in ops:
        topics, next_id = dict(states[-1][0]), states[-1][1]
        match op:
            case Create(name, partitions, retention):
                collides = name.replace(".", "_") in {other.replace(".", "_") for other in topics}
                if "/" not in name and retention != "nonsense" and not collides:
                    topics[name] = ((0,) * partitions, retention)
            case Delete(name):
                if name in former:
                    former.remove(name)
                    del topics[name]
            case Alter(name, retention):
                if name in topics and retention != "nonsense":
                    topics[name] = topics[name][0], retention
            case Allocate():
                next_id += BLOCK
            case Raise():
                topics = {n: (tuple(epoch + 1 for epoch in epochs), r) for n, (epochs, r) in topics.items()}
        states.append((topics, next_id))
    return states


def observed(image: MetadataImage) -> Model:
    topics: dict[str, Topic] = {}
    for name, topic in image.topics.items():
        assert image.topics_by_id[topic.topic_id] is topic
        assert list(topic.partitions) == list(range(len(topic.partitions)))
        epochs = tuple(state.leader_epoch for state in topic.partitions.values())
        topics[name] = epochs, image.topic_configs(name).get("retention.ms")
    assert len(image.topics_by_id) == len(topics)
    return topics, image.next_producer_id


class Run:
    """One run over several lives of the node."""

    def __init__(self, seed: int) -> None:
        self.fs = FaultyFileSystem(seed)
        self.fs.makedirs("/data")
        self.fs.sync_dir("/")
        self.clock = Clock()
        self.starts = 0
        self.model: Model = {}, 0
        self.blocks: list[int] = []
        self.epoch = -1
        """Last one in which something was answered: it may not come back."""

    def start(self, *, clean: bool) -> None:
        self.starts += 1
        self.store: MetadataLog = open_store(
            self.fs, clean=clean, seed=self.starts, clock=self.clock, snapshot_after_bytes=1500
        )
        assert self.store.epoch > self.epoch
        self.store.register_broker(registration(NODE_ID))

    async def perform(self, step: Step) -> None:
        match step:
            case Wait(ms):
                self.clock.now_ms += ms
            case Restart(clean):
                if clean:
                    await self.store.close()
                else:
                    self.fs = self.fs.crash(
                        Loss.NONE
                    )  # what the former life is still about, it does to its own disk
                self.start(clean=clean)
                assert observed(self.store.image) == self.model
            case Submit():
                await self.submit(step)

    async def submit(self, step: Submit) -> None:
        crashed: list[tuple[FaultyFileSystem, int]] = []
        tasks: list[asyncio.Task[Any]] = []
        first = self.fs.operations

        def maybe_crash(operation: Operation) -> None:
            if step.crash_after is not None and self.fs.operations == first + step.crash_after:
                crashed.append((self.fs.crash(step.loss), _answered(tasks, states)))

        states = states_of(self.model, step.ops)
        self.fs.after = maybe_crash
        tasks += [asyncio.ensure_future(self.store.submit(self.command(op))) for op in step.ops]
        replies = await asyncio.gather(*tasks)
        if crashed:
            self.fs, answered = crashed[0]
            self.start(clean=False)
            candidates = states[answered:]
            found = observed(self.store.image)
            assert found in candidates
            self.model = found
            replies = replies[:answered]
        else:
            self.fs.after = None
            assert observed(self.store.image) == states[-1]
            if states[-1] != self.model:
                self.epoch = self.store.epoch
            self.model = states[-1]
        for op, reply in zip(step.ops, replies, strict=False):
            if isinstance(op, Allocate):
                assert reply.first not in self.blocks
                self.blocks.append(reply.first)

    def command(self, op: Create | Delete | Alter | Allocate | Raise) -> Command:
        match op:
            case Create(name, partitions, retention):
                configs = () if retention is None else (("retention.ms", retention),)
                return CreateTopics([NewTopic(name, partitions, 1, configs=configs)])
            case Delete(name):
                topic = self.store.image.topics.get(name)
                return DeleteTopics([b"\7" * 16 if topic is None else topic.topic_id])
            case Alter(name, retention):
                operation = ConfigOperation.DELETE if retention is None else ConfigOperation.SET
                return AlterConfigs(
                    [ConfigChange(ConfigResourceType.TOPIC, name, {"retention.ms": (operation, retention)})]
                )
            case Allocate():
                return AllocateProducerIds(NODE_ID)
            case Raise():
                return RaiseLeaderEpochs(NODE_ID)


def _answered(tasks: Sequence[asyncio.Task[Any]], states: Sequence[Model]) -> int:
    """How many commands from the front on must have taken effect: all up to the last change that was answered.

    What changes nothing, such as a refusal, is answered out of turn.
    """
    changes = [number for number in range(1, len(states)) if states[number] != states[number - 1]]
    return max((number for number in changes if number <= len(tasks) and tasks[number - 1].done()), default=0)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=12), seed=st.integers(0, 1 << 16))
def test_the_log_agrees_with_the_model(steps: list[Step], seed: int) -> None:
    async def scenario() -> None:
        run = Run(seed)
        run.start(clean=False)
        for step in steps:
            await run.perform(step)
        await run.store.close()
        run.start(clean=True)
        assert observed(run.store.image) == run.model

    asyncio.run(scenario())

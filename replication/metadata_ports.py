"""What the broker may ask of a metadata store, and what the controller asks of its surroundings.

A `MetadataStore` keeps the metadata durable: a local log on one node, a shared store in a cluster. A command is
decided against the image, its records are made durable, then replayed; then watchers act; only then does the
submitter resume. Reading is reading attributes of `image`, and never waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, overload

from protocol.errors import ErrorCode
from protocol.types import LeaderEpoch
from replication.broker_registration import BrokerRegistration
from replication.metadata_commands import (
    AllocateProducerIds,
    AlterConfigs,
    AssignDirectories,
    Command,
    ConfigAlteration,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    LoseDirectory,
    PartitionCreation,
    ProducerIdBlock,
    RaiseLeaderEpochs,
    RegisterBroker,
    TakeOverNode,
    TopicCreation,
    UnregisterBroker,
    UpdateFeatures,
)
from replication.metadata_image import MetadataDelta, MetadataImage

DeltaWatcher: TypeAlias = Callable[[MetadataDelta], Awaitable[None] | None]
"""Told what changed, after the image changed and before submitters resume; an awaitable that it returns is waited
for. Must not raise, and must not wait for a command: the store would wait for itself."""


class MetadataStore(Protocol):
    """Durable metadata with an image in memory. Used from the event loop only."""

    @property
    def image(self) -> MetadataImage:
        """Everything committed so far. To be read only; one object for the life of the store."""

    @property
    def epoch(self) -> LeaderEpoch:
        """Term of whoever decides; rises when somebody else does, or the same one anew."""

    def watch(self, watcher: DeltaWatcher) -> None:
        """Have `watcher` told of every later change, in the order of the log."""

    @overload
    async def submit(self, command: CreateTopics) -> Sequence[TopicCreation]: ...
    @overload
    async def submit(self, command: DeleteTopics) -> Sequence[ErrorCode]: ...
    @overload
    async def submit(self, command: CreatePartitions) -> Sequence[PartitionCreation]: ...
    @overload
    async def submit(self, command: AlterConfigs) -> Sequence[ConfigAlteration]: ...
    @overload
    async def submit(self, command: AllocateProducerIds) -> ProducerIdBlock: ...
    @overload
    async def submit(self, command: RegisterBroker) -> BrokerRegistration: ...
    @overload
    async def submit(self, command: UnregisterBroker) -> None: ...
    @overload
    async def submit(self, command: RaiseLeaderEpochs | TakeOverNode) -> int: ...
    @overload
    async def submit(self, command: LoseDirectory | AssignDirectories | UpdateFeatures) -> None: ...
    async def submit(self, command: Command) -> object:
        """Decide the command, make its records durable, and return the reply once watchers have acted.

        Raises: BrokerError when the command is refused as a whole; KAFKA_STORAGE_ERROR when its records cannot be
        made durable, and from then on for every command that has records.
        """


class Entropy(Protocol):
    """Randomness, handed in so that a simulation can replay it."""

    def uuid(self) -> bytes:
        """Return 16 random bytes."""

    def below(self, bound: int) -> int:
        """Return a number from 0 up to `bound`, exclusive."""


class ConfigRules(Protocol):
    """The table of properties, which lies above: judges settings before they are made."""

    def list_default(self, resource_type: int, name: str) -> str | None:
        """Return the default of a property that is a list, None for every other and for unknown ones."""

    def topic_problem(self, changed: Mapping[str, str], kept: Mapping[str, str]) -> str | None:
        """Take the settings to be made on a topic, and those that stay; return in words what is wrong, or None."""

    def broker_problem(
        self, changed: Mapping[str, str], cluster: Mapping[str, str], node: Mapping[str, str]
    ) -> str | None:
        """The same for brokers: `changed` is to be made, `cluster` and `node` is what there is afterwards."""

    def group_problem(self, changed: Mapping[str, str], kept: Mapping[str, str]) -> str | None:
        """The same for groups, as for topics."""

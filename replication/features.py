"""The features of a cluster: levels that all its brokers can work at, and how the level that holds is changed.

A feature is finalised at one level for all brokers; level 0 is its absence. New clusters begin at the highest levels.
A feature that came after a cluster was begun is finalised with the first registration of a broker that knows it; one
that was taken back to level 0 stays there, since its brokers knew it already.
Source: KIP-584, KIP-1022; Kafka controller/FeatureControlManager.java, server-common TransactionVersion.java.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.messages.records_metadata import FeatureLevelRecord

if TYPE_CHECKING:
    from replication.broker_registration import BrokerRegistration
    from replication.metadata_commands import FeatureUpdate, UpdateFeatures
    from replication.metadata_image import MetadataImage

GROUP_VERSION: Final = "group.version"
METADATA_VERSION: Final = "metadata.version"
TRANSACTION_VERSION: Final = "transaction.version"

METADATA_LEVEL: Final = 30
"""Level of metadata.version that our records follow: Kafka 4.3-IV0."""

SUPPORTED_FEATURES: Final[Mapping[str, tuple[int, int]]] = {
    GROUP_VERSION: (0, 1),  # 1: the consumer groups of KIP-848
    METADATA_VERSION: (METADATA_LEVEL, METADATA_LEVEL),
    TRANSACTION_VERSION: (0, 2),  # 1: records with tagged fields, 2: an epoch for each transaction (KIP-890)
}
"""(lowest, highest) level of each feature that this version can work at, both inclusive."""

UPGRADE: Final = 1
SAFE_DOWNGRADE: Final = 2
UNSAFE_DOWNGRADE: Final = 3
"""Which way a level may change, as UpdateFeatures says it. Nothing here is lost by a downgrade: the last two differ in
Kafka for metadata.version alone, of which this version knows one level.
"""


def bootstrap_records() -> list[Message]:
    """Return the first records of a new cluster (Kafka: BootstrapMetadata, written by `kafka-storage format`)."""
    return [FeatureLevelRecord(name=METADATA_VERSION, feature_level=METADATA_LEVEL)]


def new_features(image: MetadataImage, registration: BrokerRegistration) -> Iterator[FeatureLevelRecord]:
    """Yield the records that finalise what `registration` brings and no broker of the cluster knew before."""
    for feature, (lowest, highest) in SUPPORTED_FEATURES.items():
        if (
            lowest == 0
            and feature not in image.features
            and feature in registration.features
            and not any(feature in broker.features for broker in image.brokers.values())
        ):
            yield FeatureLevelRecord(name=feature, feature_level=highest)


def feature_records(image: MetadataImage, command: UpdateFeatures) -> list[Message]:
    """Return the records that `command` amounts to. All features change, or none.

    Raises: BrokerError INVALID_UPDATE_VERSION.
    """
    records: list[Message] = []
    for update in command.updates:
        problem = _problem(image, update)
        if problem is not None:
            raise BrokerError(
                ErrorCode.INVALID_UPDATE_VERSION,
                f"no feature was changed: {update.feature} cannot be set to {update.level}: {problem}",
            )
        if update.level != image.features.get(update.feature, 0):
            records.append(FeatureLevelRecord(name=update.feature, feature_level=update.level))
    return records


def _problem(image: MetadataImage, update: FeatureUpdate) -> str | None:
    """Return in words why the level cannot be set, None when it can."""
    if update.upgrade_type not in (UPGRADE, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE):
        return f"there is no upgrade type {update.upgrade_type}"
    if update.feature not in SUPPORTED_FEATURES:
        return "there is no such feature"
    supporters = {"the controller": SUPPORTED_FEATURES} | {
        f"broker {broker.node_id}": broker.features for broker in image.brokers.values()
    }
    for who, features in supporters.items():
        lowest, highest = features.get(update.feature, (0, 0))
        if not lowest <= update.level <= highest:
            return f"{who} supports the levels {lowest} to {highest}"
    current = image.features.get(update.feature, 0)
    if update.level < current and update.upgrade_type == UPGRADE:
        return f"it is at {current}, and a downgrade must be asked for as one"
    if update.level > current and update.upgrade_type != UPGRADE:
        return f"it is at {current}, so this is no downgrade"
    return None

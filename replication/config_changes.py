"""Decides changes of settings: which records they amount to, and why one is refused.

A resource is changed as a whole or not at all; others go on. The image keeps settings as text; what a text means, and
whether it is allowed, the table of properties says (`ConfigRules`).
Source: Kafka controller/ConfigurationControlManager.java, server/ControllerConfigurationValidator.scala.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from protocol.configs import ConfigOperation, ConfigResourceType
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.message import Message
from protocol.messages.records_metadata import ConfigRecord
from replication.metadata_commands import (
    RECORDS_PER_COMMAND_MAX,
    AlterConfigs,
    ConfigAlteration,
    ConfigChange,
)
from replication.metadata_image import MetadataImage
from replication.topic_names import topic_name_problem

if TYPE_CHECKING:
    from replication.metadata_ports import ConfigRules

CLUSTER = ""
"""Name of the broker resource whose settings hold for all brokers."""


class ConfigChanger:
    """Turns AlterConfigs into records. Reads the image, changes nothing."""

    __slots__ = ("_image", "_rules")

    def __init__(self, image: MetadataImage, rules: ConfigRules) -> None:
        self._image = image
        self._rules = rules

    def alter(self, command: AlterConfigs) -> tuple[list[Message], list[ConfigAlteration]]:
        """Return the records of every change that may be made, and one answer per resource.

        Raises: BrokerError POLICY_VIOLATION when they are too many for one command.
        """
        records: list[Message] = []
        alterations: list[ConfigAlteration] = []
        for change in command.changes:
            try:
                records += self._records(change)
            except BrokerError as refusal:
                alterations.append(ConfigAlteration(refusal.code, refusal.text))
            else:
                alterations.append(ConfigAlteration())
        if len(records) > RECORDS_PER_COMMAND_MAX:
            raise BrokerError(
                ErrorCode.POLICY_VIOLATION,
                f"a request may write {RECORDS_PER_COMMAND_MAX} metadata records; change fewer settings at once",
            )
        return records, alterations

    def _records(self, change: ConfigChange) -> list[Message]:
        """Raises: BrokerError."""
        resource = change.resource_type, change.resource_name
        former = self._image.configs(*resource)
        changed = {name: self._changed(change, name, former.get(name)) for name in change.operations}
        if change.replace:
            changed |= {name: None for name in former if name not in changed}
        made = {name: value for name, value in changed.items() if value is not None}
        kept = {name: value for name, value in former.items() if name not in changed}
        if change.resource_type == ConfigResourceType.TOPIC:
            self._check_topic(change.resource_name, made, kept)
        elif change.resource_type == ConfigResourceType.GROUP:
            self._check_group(change.resource_name, made, kept)
        else:
            self._check_broker(change.resource_name, made, kept)
        return [
            ConfigRecord(resource_type=resource[0], resource_name=resource[1], name=name, value=value)
            for name, value in changed.items()
            if value != former.get(name)
        ]

    def _changed(self, change: ConfigChange, name: str, former: str | None) -> str | None:
        """Return the value of a property afterwards, None when it has none of its own."""
        operation, value = change.operations[name]
        if operation is ConfigOperation.DELETE:
            return None
        assert value is not None
        if operation is ConfigOperation.SET:
            return value
        default = self._rules.list_default(change.resource_type, name)
        if default is None:
            raise BrokerError(
                ErrorCode.INVALID_CONFIG, f"cannot {operation.name.lower()} to {name}: it is not a list"
            )
        parts = dict.fromkeys(part for part in (default if former is None else former).split(",") if part)
        given = dict.fromkeys(value.split(","))
        if operation is ConfigOperation.APPEND:
            return ",".join(parts | given)
        return ",".join(part for part in parts if part not in given)

    def _check_topic(self, name: str, made: Mapping[str, str], kept: Mapping[str, str]) -> None:
        if not name:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "topics have no settings in common: name a topic")
        problem = topic_name_problem(name)
        if problem is not None:
            raise BrokerError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)
        problem = self._rules.topic_problem(made, kept)
        if problem is not None:
            raise BrokerError(ErrorCode.INVALID_CONFIG, problem)
        if name not in self._image.topics:
            raise BrokerError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def _check_broker(self, name: str, made: Mapping[str, str], kept: Mapping[str, str]) -> None:
        if name == CLUSTER:
            problem = self._rules.broker_problem(made, cluster={**kept, **made}, node={})
        else:
            cluster = self._image.configs(ConfigResourceType.BROKER, CLUSTER)
            problem = self._rules.broker_problem(made, cluster=cluster, node={**kept, **made})
        if problem is not None:
            # Kafka's code for what it finds wrong with a broker's settings; of a topic's it is INVALID_CONFIG.
            raise BrokerError(ErrorCode.INVALID_REQUEST, problem)

    def _check_group(self, name: str, made: Mapping[str, str], kept: Mapping[str, str]) -> None:
        """The group need not exist: its settings may be there first, and stay when it goes."""
        if not name:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "groups have no settings in common: name a group")
        problem = self._rules.group_problem(made, kept)
        if problem is not None:
            raise BrokerError(ErrorCode.INVALID_CONFIG, problem)

"""Changing settings, for AlterConfigs and IncrementalAlterConfigs alike: one answer per resource, in their order.

Settings of topics, groups and brokers become metadata; levels of loggers are changed at once and forgotten at the end.
Neither request has a time-out of its own: the answer comes when the change is durable and in force.
Source: Kafka server/ConfigAdminManager.scala, ControllerApis.scala.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from logd.authorisation import Operation
from logd.handlers.config_resources import (
    check_allowed,
    check_is_this_node,
    resource_type,
)
from protocol.configs import ConfigOperation, ConfigResourceType
from protocol.errors import BrokerError, ErrorCode
from replication.metadata_commands import AlterConfigs, ConfigAlteration, ConfigChange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from logd.broker import Broker
    from logd.context import RequestContext

_DONE = ConfigAlteration()


class AskedChange(NamedTuple):
    """What a client asks for, unchecked."""

    resource_type: int
    resource_name: str
    operations: Sequence[tuple[str, int, str | None]]
    """(property, number of the operation, value)."""
    replace: bool


async def change_configs(
    broker: Broker, context: RequestContext, asked: Sequence[AskedChange], *, validate_only: bool
) -> list[ConfigAlteration]:
    """Make the changes that may be made; return how each went."""
    named = Counter((change.resource_type, change.resource_name) for change in asked)
    answers: list[ConfigAlteration | None] = []
    changes: list[ConfigChange] = []
    for change in asked:
        try:
            if named[change.resource_type, change.resource_name] > 1:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "the resource is named twice")
            checked = _checked(broker, context, change)
            if change.resource_type == ConfigResourceType.BROKER_LOGGER:
                _change_levels(checked.operations, validate_only=validate_only)
                answers.append(_DONE)
                continue
        except BrokerError as refusal:
            answers.append(ConfigAlteration(refusal.code, refusal.text))
        else:
            changes.append(checked)
            answers.append(None)
    outcomes = iter(await _submit(broker, AlterConfigs(changes, validate_only)) if changes else ())
    return [next(outcomes) if answer is None else answer for answer in answers]


async def _submit(broker: Broker, command: AlterConfigs) -> Sequence[ConfigAlteration]:
    """What concerns all resources alike is put on each."""
    try:
        return await broker.metadata.submit(command)
    except BrokerError as refusal:
        return [ConfigAlteration(refusal.code, refusal.message)] * len(command.changes)


def _checked(broker: Broker, context: RequestContext, change: AskedChange) -> ConfigChange:
    """Raises: BrokerError for what is wrong with the request, whatever the settings mean."""
    kind = resource_type(change.resource_type)
    check_allowed(broker, context, Operation.ALTER_CONFIGS, kind, change.resource_name)
    operations = _operations(change)
    match kind:
        case ConfigResourceType.BROKER:
            if change.resource_name:
                check_is_this_node(broker, change.resource_name)
        case ConfigResourceType.BROKER_LOGGER:
            if change.replace:
                raise BrokerError(ErrorCode.INVALID_REQUEST, "levels of loggers are changed one by one")
            check_is_this_node(broker, change.resource_name)
        case ConfigResourceType.CLIENT_METRICS:
            raise BrokerError(ErrorCode.INVALID_REQUEST, "client metrics have no settings yet")
    return ConfigChange(change.resource_type, change.resource_name, operations, change.replace)


def _operations(change: AskedChange) -> dict[str, tuple[ConfigOperation, str | None]]:
    operations: dict[str, tuple[ConfigOperation, str | None]] = {}
    for name, number, value in change.operations:
        if name in operations:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"{name} is named twice")
        try:
            operation = ConfigOperation(number)
        except ValueError:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"unknown operation {number} on {name}") from None
        if value is None and operation is not ConfigOperation.DELETE:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"no value given for {name}")
        operations[name] = operation, value
    return operations


def _change_levels(
    operations: Mapping[str, tuple[ConfigOperation, str | None]], *, validate_only: bool
) -> None:
    """Raises: BrokerError, with nothing changed."""
    from logd.settings.loggers import LEVELS, ROOT, logger_levels, set_level  # noqa: PLC0415 - at first use

    known = logger_levels()
    for name, (operation, level) in operations.items():
        if operation not in (ConfigOperation.SET, ConfigOperation.DELETE):
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"the level of {name} is not a list")
        if name not in known:
            raise BrokerError(ErrorCode.INVALID_CONFIG, f"there is no logger {name}")
        if operation is ConfigOperation.DELETE and name == ROOT:
            raise BrokerError(ErrorCode.INVALID_REQUEST, f"{ROOT} cannot be without a level")
        if operation is ConfigOperation.SET and level not in LEVELS:
            raise BrokerError(
                ErrorCode.INVALID_CONFIG, f"unknown level {level!r} for {name}: one of {', '.join(LEVELS)}"
            )
    if not validate_only:
        for name, (operation, level) in operations.items():
            set_level(name, level if operation is ConfigOperation.SET else None)

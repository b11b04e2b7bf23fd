"""The properties that a single group may set for itself, and what is allowed of them.

A group's value stands before the broker's (`synonym`), which stands before the default. The broker has bounds for most:
a value outside them is refused; one that the bounds have left since is kept, and its use ends at them. The properties
of share and streams groups are checked and kept like the others, so that what a user set is still there when such
groups are. Source: Kafka 4.3 GroupConfig.java.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, cast

from logd.config.dynamic import find_key
from logd.config.key import ConfigKey, ConfigValueError, Value, parse_value

if TYPE_CHECKING:
    from logd.config.broker_config import BrokerConfig

_NO_SHARE: Final = "there are no share groups"
_NO_STREAMS: Final = "there are no streams groups"

_OFFSET_RESET: Final = "share.auto.offset.reset"
# Java's Duration.parse, without signs: what is before now cannot lie ahead.
_BY_DURATION: Final = re.compile(
    r"by_duration:P(?=[0-9T])([0-9]+D)?(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+([.][0-9]{0,9})?S)?)?",
    re.IGNORECASE,
)


def _key(
    name: str,
    kind: str,
    default: Value,
    doc: str,
    *,
    low: int | None = None,
    choices: tuple[str, ...] = (),
    without_effect: str = "",
) -> ConfigKey:
    synonym = f"group.{name}"
    return ConfigKey(
        name,
        kind,
        default,
        doc,
        low=low,
        choices=choices,
        scope="group",
        dynamic=True,
        without_effect=without_effect,
        synonym=synonym if find_key(synonym) is not None else "",
    )


def _share(
    name: str,
    kind: str,
    default: Value,
    doc: str,
    *,
    low: int | None = None,
    choices: tuple[str, ...] = (),
) -> ConfigKey:
    return _key(f"share.{name}", kind, default, doc, low=low, choices=choices, without_effect=_NO_SHARE)


def _streams(name: str, default: int, doc: str, low: int) -> ConfigKey:
    return _key(f"streams.{name}", "int", default, doc, low=low, without_effect=_NO_STREAMS)


PER_GROUP_KEYS: Final[tuple[ConfigKey, ...]] = (
    _key(
        "consumer.session.timeout.ms",
        "int",
        45_000,
        "A member of the group is fenced when it sends no heartbeat for so long, in milliseconds.",
        low=1,
    ),
    _key(
        "consumer.heartbeat.interval.ms",
        "int",
        5_000,
        "How often the members are told to send heartbeats, in milliseconds.",
        low=1,
    ),
    _key(
        "consumer.assignment.interval.ms",
        "int",
        1_000,
        "Shortest time between two assignments of the group, in milliseconds.",
        low=0,
    ),
    _share("session.timeout.ms", "int", 45_000, "Longest silence of a member, in milliseconds.", low=1),
    _share("heartbeat.interval.ms", "int", 5_000, "Time between heartbeats, in milliseconds.", low=1),
    _share("record.lock.duration.ms", "int", 30_000, "How long a record is acquired for.", low=1_000),
    _share("delivery.count.limit", "int", 5, "How often a record is delivered at most.", low=2),
    _share(
        "partition.max.record.locks", "int", 2_000, "Most records of a partition acquired at once.", low=100
    ),
    _share("auto.offset.reset", "string", "latest", "Where a share group starts to read a partition."),
    _share(
        "isolation.level",
        "string",
        "read_uncommitted",
        "Whether records of open and aborted transactions are delivered.",
        choices=("read_committed", "read_uncommitted"),
    ),
    _share("renew.acknowledge.enable", "boolean", True, "Whether the lock on a record may be renewed."),
    _share("assignment.interval.ms", "int", 1_000, "Shortest time between two assignments.", low=0),
    _streams("session.timeout.ms", 45_000, "Longest silence of a member, in milliseconds.", 1),
    _streams("heartbeat.interval.ms", 5_000, "Time between heartbeats, in milliseconds.", 1),
    _streams("num.standby.replicas", 0, "Standby replicas of each task.", 0),
    _streams("initial.rebalance.delay.ms", 3_000, "How long a new group waits for more members.", 0),
    _streams("assignment.interval.ms", 1_000, "Shortest time between two assignments.", 0),
)

PER_GROUP_KEYS_BY_NAME: Final[dict[str, ConfigKey]] = {key.name: key for key in PER_GROUP_KEYS}


def usable_group_configs(configs: Mapping[str, str]) -> dict[str, Value]:
    """Return the parsed values of what a group has set, without what cannot be used."""
    values: dict[str, Value] = {}
    for name, text in configs.items():
        try:
            values[name] = _parse(name, text)
        except ConfigValueError:
            continue  # taken over from Kafka, or left by another version: it must not keep a group from working
    return values


def group_configs_problem(
    changed: Mapping[str, str], broker: BrokerConfig, kept: Mapping[str, str]
) -> str | None:
    """Return in words what is wrong with properties to be set on a group: by themselves, with those that the group
    keeps, or with the broker's bounds and defaults.
    """
    try:
        values = {name: _parse(name, text) for name, text in changed.items()}
    except ConfigValueError as problem:
        return str(problem)
    own = {**usable_group_configs(kept), **values}
    for name, value in own.items():
        problem_text = _bounds_problem(name, value, broker)
        if problem_text is not None:
            return problem_text
    for kind in ("consumer", "share", "streams"):
        session, interval = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
        if session in own or interval in own:
            session_ms, interval_ms = (
                cast(int, _in_force(name, own, broker)) for name in (session, interval)
            )
            if session_ms <= interval_ms:
                return f"{session} ({session_ms}) must be greater than {interval} ({interval_ms})"
    return None


def group_default(key: ConfigKey, broker: BrokerConfig) -> Value:
    """Return the value of a property where the group sets none."""
    return broker.values.get(key.synonym, key.default)


def _in_force(name: str, own: Mapping[str, Value], broker: BrokerConfig) -> Value:
    return own[name] if name in own else group_default(PER_GROUP_KEYS_BY_NAME[name], broker)


def _bounds_problem(name: str, value: Value, broker: BrokerConfig) -> str | None:
    kind, _, rest = name.partition(".")
    low, high = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest.removeprefix('num.')}"
    for bound, is_low in ((low, True), (high, False)):
        key = find_key(bound)
        if key is None:
            continue
        limit = cast(int, broker.values.get(bound, key.default))
        number = cast(int, value)
        if number < limit if is_low else number > limit:
            return f"{name} ({number}) must be at {'least' if is_low else 'most'} {bound} ({limit})"
    return None


def _parse(name: str, text: str) -> Value:
    """Raises ConfigValueError."""
    key = PER_GROUP_KEYS_BY_NAME.get(name)
    if key is None:
        raise ConfigValueError(f"unknown property of a group {name[:100]}")
    value = parse_value(key, text)
    if name == _OFFSET_RESET and value not in ("earliest", "latest"):
        assert isinstance(value, str)
        if _BY_DURATION.fullmatch(value) is None:
            raise ConfigValueError(
                f"invalid value {value[:100]!r} for {name}: must be earliest, latest or by_duration:PnDTnHnMn.nS"
            )
    return value

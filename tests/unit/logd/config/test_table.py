"""Goal: the configuration table says what Kafka says. Method: every row against Kafka's own definitions, kept as data.

kafka_properties.tsv holds what Apache Kafka 4.3.1 prints of its ConfigDef: name, type, default, validator and, for
topic properties, the broker property that gives the default; of broker properties, whether they are dynamic.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from logd.config.broker_keys import BROKER_KEYS, BROKER_KEYS_BY_NAME, SYNONYMS
from logd.config.key import ConfigKey, describe_allowed, format_value, parse_value
from logd.config.other_keys import KEYS_WITHOUT_EFFECT, KEYS_WITHOUT_EFFECT_BY_NAME, find_refused
from logd.config.topic_keys import INTERNAL_SEGMENT_BYTES, TOPIC_KEYS, TOPIC_KEYS_BY_NAME
from logd.config_help import render_markdown

ROOT = Path(__file__).resolve().parents[4]


class Definition(NamedTuple):
    name: str
    type: str
    default: str
    validator: str
    synonym: str
    dynamic: bool


def _definitions(scope: str) -> dict[str, Definition]:
    found = {}
    for line in (Path(__file__).parent / "kafka_properties.tsv").read_text().splitlines():
        kind, *fields = line.split("\t")
        if kind == scope:
            name, type_name, default, validator, last = (*fields, "", "")[:5]
            found[name] = Definition(name, type_name, default, validator, last, last == "dynamic")
    return found


KAFKA = _definitions("broker")
KAFKA_TOPIC = _definitions("topic")
_TEXT_TYPES = {"STRING", "CLASS", "PASSWORD"}
# With less than segment.bytes allows Kafka starts, and cannot create the topic.
_REFUSED_EARLIER = {"offsets.topic.segment.bytes", "transaction.state.log.segment.bytes"}
# Tighter than Kafka, which checks these after parsing.
_CHECKED_LATER = {"log.roll.ms", "log.roll.jitter.ms"}


def test_every_property_of_kafka_is_in_exactly_one_class() -> None:
    for name in KAFKA:
        classes = [
            name in BROKER_KEYS_BY_NAME,
            name in KEYS_WITHOUT_EFFECT_BY_NAME,
            find_refused(name) is not None,
        ]
        assert classes.count(True) == 1, name


def test_every_topic_property_of_kafka_is_known() -> None:
    assert set(KAFKA_TOPIC) == {*TOPIC_KEYS_BY_NAME, INTERNAL_SEGMENT_BYTES.name}


def test_only_marked_properties_are_ours() -> None:
    assert {key.name for key in BROKER_KEYS if key.ours} == {key.name for key in BROKER_KEYS} - set(KAFKA)


@pytest.mark.parametrize("key", [key for key in BROKER_KEYS if not key.ours], ids=lambda key: key.name)
def test_broker_key_is_kafkas(key: ConfigKey) -> None:
    theirs = KAFKA[key.name]
    _check_type(key, theirs)
    if key.name not in _CHECKED_LATER:
        _check_bounds(key, theirs)
    if key.differs:
        assert key.default != key.kafka_default
        assert format_value(key.kafka_default) == _default(theirs)
    else:
        assert _same_default(key, theirs)


@pytest.mark.parametrize("key", TOPIC_KEYS, ids=lambda key: key.name)
def test_topic_key_is_kafkas(key: ConfigKey) -> None:
    theirs = KAFKA_TOPIC[key.name]
    _check_type(key, theirs)
    _check_bounds(key, theirs)
    assert _same_default(key, theirs)
    assert key.synonym == theirs.synonym
    assert key.scope == "topic"


@pytest.mark.parametrize("key", TOPIC_KEYS, ids=lambda key: key.name)
def test_topic_default_is_the_brokers(key: ConfigKey) -> None:
    broker_key = BROKER_KEYS_BY_NAME.get(key.synonym) or KEYS_WITHOUT_EFFECT_BY_NAME.get(key.synonym)
    if broker_key is not None and broker_key.default is not None:
        assert broker_key.default == key.default


def test_keys_without_effect_have_kafkas_types_and_defaults() -> None:
    for key in KEYS_WITHOUT_EFFECT:
        if key.name in KAFKA:
            _check_type(key, KAFKA[key.name])
            if "org.apache.kafka" not in _default(KAFKA[key.name]):
                assert _same_default(key, KAFKA[key.name]), key.name
        assert key.without_effect


def test_every_default_is_a_value_that_its_own_text_gives() -> None:
    for key in (*BROKER_KEYS, *TOPIC_KEYS, *KEYS_WITHOUT_EFFECT):
        if key.default is not None and key.name != "broker.id":
            assert parse_value(key, format_value(key.default)) == key.default, key.name


def test_names_are_unique_and_documented() -> None:
    for keys in (BROKER_KEYS, TOPIC_KEYS, KEYS_WITHOUT_EFFECT):
        assert len({key.name for key in keys}) == len(keys)
    for key in (*BROKER_KEYS, *TOPIC_KEYS):
        assert key.doc.endswith(".") and len(key.doc) > 15, key.name


def test_what_kafka_lets_change_while_it_runs_changes_here() -> None:
    ours = {key.name for key in (*BROKER_KEYS, *KEYS_WITHOUT_EFFECT) if key.dynamic and key.name in KAFKA}
    theirs = {name for name, definition in KAFKA.items() if definition.dynamic and not find_refused(name)}
    assert theirs - ours == {"listeners", "listener.security.protocol.map"}
    assert ours <= theirs


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (0.0, "0.0"),
        (1.0, "1.0"),
        (1e7, "1.0E7"),
        (0.00012, "1.2E-4"),
        (-1e-5, "-1.0E-5"),
        (12345678.9, "1.23456789E7"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
    ],
)
def test_doubles_are_written_as_java_writes_them(value: float, text: str) -> None:
    assert format_value(value) == text


def test_synonyms_are_in_the_table() -> None:
    assert {name for group in SYNONYMS for name in group} <= set(BROKER_KEYS_BY_NAME)


def test_documentation_is_current() -> None:
    written = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert written == render_markdown(), "run `make docs`"


def _check_type(key: ConfigKey, theirs: Definition) -> None:
    expected = "string" if theirs.type in _TEXT_TYPES else theirs.type.lower()
    assert key.type == expected, key.name


def _default(theirs: Definition) -> str:
    if theirs.type == "LIST" or theirs.default.startswith("["):
        return theirs.default.removeprefix("[").removesuffix("]").replace(", ", ",")
    return theirs.default


def _same_default(key: ConfigKey, theirs: Definition) -> bool:
    ours, kafkas = format_value(key.default), _default(theirs)
    return float(ours) == float(kafkas) if theirs.type == "DOUBLE" else ours == kafkas


def _check_bounds(key: ConfigKey, theirs: Definition) -> None:
    """Validators read [low,...], [low,...,high], [low,...,high] or exempt, [choice, choice]."""
    bounds = re.fullmatch(r"\[(-?\d+),\.\.\.(?:,(-?\d+))?\](?: or (-?\d+))?", theirs.validator)
    if bounds:
        low, high, exempt = (None if b is None else int(b) for b in bounds.groups())
        if key.name in _REFUSED_EARLIER:
            low = TOPIC_KEYS_BY_NAME["segment.bytes"].low
        assert (key.low, key.high, key.exempt) == (low, high, exempt)
    elif theirs.validator.startswith("["):
        assert list(key.choices) == theirs.validator.strip("[]").split(", ")
    elif key.name in KAFKA and not key.choices:
        assert (key.low, key.high) == (None, None), f"{key.name}: {describe_allowed(key)}"

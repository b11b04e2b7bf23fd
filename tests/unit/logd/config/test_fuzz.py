"""Goal: whatever is set gives a configuration or one clear line. Method: hypothesis over names and texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logd.config import ConfigError, ConfigValueError, load_config, log_config_for, parse_topic_configs
from logd.config.broker_keys import BROKER_KEYS
from logd.config.key import ConfigKey, describe_allowed, format_value, parse_value
from logd.config.other_keys import KEYS_WITHOUT_EFFECT, REFUSED_KEYS
from logd.config.topic_keys import TOPIC_KEYS

_NAMES = st.sampled_from(
    [
        *(key.name for key in BROKER_KEYS),
        *(key.name for key in KEYS_WITHOUT_EFFECT),
        *(key.name for key in REFUSED_KEYS),
        *(key.name for key in TOPIC_KEYS),
    ]
)
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["true", "PLAINTEXT://h:1", "A:PLAINTEXT", "compact,delete", "[::1]:2", "://", "x://[:1"]
    ),
)


@given(st.lists(st.tuples(st.one_of(_NAMES, st.text(max_size=10)), _TEXTS), max_size=5))
def test_any_properties(pairs: list[tuple[str, str]]) -> None:
    try:
        config = load_config([f"{name}={text}" for name, text in pairs])
    except ConfigError as error:
        assert error.message and error.hint
        assert error.exit_code == 2
    else:
        assert config.listeners and config.log_dirs
        assert config.durability()
        log_config_for({}, config)


@given(
    st.dictionaries(
        st.sampled_from([key.name for key in TOPIC_KEYS]), st.one_of(st.none(), _TEXTS), max_size=4
    )
)
def test_any_topic_properties(overrides: dict[str, str | None]) -> None:
    try:
        parse_topic_configs(overrides)
    except ConfigValueError as error:
        assert str(error)
    else:
        log_config_for(overrides, load_config())


@given(st.sampled_from([*BROKER_KEYS, *TOPIC_KEYS]), _TEXTS)
def test_a_value_reads_back_from_its_text(key: ConfigKey, text: str) -> None:
    try:
        value = parse_value(key, text)
    except ConfigValueError as error:
        assert key.name in str(error)
        return
    assert parse_value(key, format_value(value)) == value


@given(
    st.sampled_from([key for key in BROKER_KEYS if key.type in {"int", "long"}]), st.integers(-(2**70), 2**70)
)
def test_integers_are_taken_within_type_and_bounds_only(key: ConfigKey, number: int) -> None:
    limit = 2**31 if key.type == "int" else 2**63
    inside = (key.low is None or number >= key.low) and (key.high is None or number <= key.high)
    expected = -limit <= number < limit and (inside or number == key.exempt)
    try:
        taken = parse_value(key, str(number)) == number
    except ConfigValueError as error:
        taken = False
        assert (
            describe_allowed(key) in str(error)
            or "range of type" in str(error)
            or "whole number" in str(error)
        )
    assert taken == expected

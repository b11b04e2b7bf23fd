"""Where property values come from, and which of them wins.

Strongest first: `-X key=value`, then the environment (LOGD_LOG_DIRS is log.dirs), then a properties file, then
defaults. Of several names for one setting (SYNONYMS) the strongest source that sets any of them wins, and within it
Kafka's order of names.

An unknown name is an error on the command line and in the file. In the environment it is a warning: container
platforms put variables such as LOGD_PORT=tcp://… into every process when a service happens to be called logd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from logd.config.broker_keys import BROKER_KEYS_BY_NAME, SYNONYMS
from logd.config.key import ConfigKey, ConfigValueError, Value, parse_value
from logd.errors import ConfigError

ENVIRONMENT_PREFIX = "LOGD_"
# Read by the commands that are clients, the tests and the benchmarks; never properties.
_NOT_PROPERTIES = ("LOGD_BOOTSTRAP", "LOGD_REQUIRE", "LOGD_TEST_", "LOGD_BENCH_")

COMMAND_LINE, ENVIRONMENT, FILE = "command line", "environment", "file"


class Settings(NamedTuple):
    """Parsed values of the properties that were set; of several names for one setting only the one that won."""

    values: dict[str, Value]
    origins: dict[str, str]  # by property: where its value came from
    without_effect: tuple[str, ...]
    warnings: tuple[str, ...]


class DynamicSettings(NamedTuple):
    """Parsed values of what was set while the broker ran, by property; see logd/config/dynamic.py."""

    cluster: Mapping[str, Value]
    node: Mapping[str, Value]


def overridden(values: Mapping[str, Value], stronger: Mapping[str, Value]) -> dict[str, Value]:
    """`values` with stronger ones in their place; a name replaces every other name of its setting, too."""
    merged = dict(values)
    for name in stronger:
        for synonym in _SYNONYMS_OF.get(name, ()):
            merged.pop(synonym, None)
    return {**merged, **stronger}


def gather(
    command_line: Sequence[str],
    environment: Mapping[str, str],
    file: str | None,
    *,
    replaced: Sequence[str] = (),
) -> Settings:
    """`command_line` holds the `key=value` of every -X. Of the properties in `replaced`, weaker sources are not asked.

    Raises ConfigError.
    """
    from_environment, warnings = _from_environment(environment)
    sources = (
        (COMMAND_LINE, _parse_pairs(command_line)),
        (ENVIRONMENT, from_environment),
        (FILE if file is None else f"{FILE} {file}", read_properties_file(file) if file is not None else {}),
    )
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    without_effect: dict[str, None] = {}
    for origin, texts in sources:
        parsed: dict[str, Value] = {}
        for name, text in texts.items():
            key = _find_key(name, text, origin)
            if key is None or (origin != COMMAND_LINE and name in replaced):
                continue
            if key.without_effect:
                without_effect.setdefault(name)
            if name == "log.dirs" and not text.strip():  # its default would be some other directory
                raise ConfigError(
                    f"log.dirs names no directory ({origin})", "name one, or leave log.dirs out"
                )
            if text.strip() or key.default is not None:
                parsed[name] = _parse(key, text, origin)
        for name in _strongest_names(parsed, origins):
            values[name] = parsed[name]
            origins[name] = origin
    return Settings(values, origins, tuple(without_effect), warnings)


def read_properties_file(path: str) -> dict[str, str]:
    """Raises ConfigError."""
    import javaproperties  # noqa: PLC0415 - 37 ms, and most starts have no file

    try:
        with open(path, encoding="utf-8-sig") as stream:  # some editors put a mark in front
            return dict(javaproperties.load(stream))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", "check the path after --config") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise ConfigError(
            f"cannot read {path} as a properties file: {error}", "check its encoding, UTF-8"
        ) from None


def _parse_pairs(pairs: Sequence[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"bad property {pair!r}", "write -X name=value")
        texts[name.strip()] = text
    return texts


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The properties, and a warning for each variable that looks like one and is not."""
    texts: dict[str, str] = {}
    warnings: list[str] = []
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable.startswith(_NOT_PROPERTIES):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("_", ".")
        if name in BROKER_KEYS_BY_NAME or _is_known_elsewhere(name):
            texts[name] = environment[variable]
        else:
            warnings.append(f"ignored the environment variable {variable}: there is no property {name}")
    return texts, tuple(warnings)


def _is_known_elsewhere(name: str) -> bool:
    from logd.config import other_keys  # noqa: PLC0415 - only for names outside the table of the effective

    return name in other_keys.KEYS_WITHOUT_EFFECT_BY_NAME or other_keys.find_refused(name) is not None


def _find_key(name: str, text: str, origin: str) -> ConfigKey | None:
    """None for a refused property whose value asks for nothing. Raises ConfigError for a refused or unknown one."""
    key = BROKER_KEYS_BY_NAME.get(name)
    if key is not None:
        return key
    from logd.config import other_keys  # noqa: PLC0415 - only for names outside the table of the effective

    key = other_keys.KEYS_WITHOUT_EFFECT_BY_NAME.get(name)
    if key is not None:
        return key
    refused = other_keys.find_refused(name)
    if refused is None:
        raise ConfigError(f"unknown property {name} ({origin})", suggestion(name))
    if text.strip().lower() in refused.harmless:
        return None
    raise ConfigError(f"property {name} ({origin}) is not supported", refused.hint)


def suggestion(name: str) -> str:
    """What whoever set a property that does not exist may have meant."""
    import difflib  # noqa: PLC0415 - only to word an error

    from logd.config.other_keys import KEYS_WITHOUT_EFFECT_BY_NAME  # noqa: PLC0415 - only to word an error
    from logd.config.topic_keys import TOPIC_KEYS_BY_NAME  # noqa: PLC0415 - only to word an error

    topic_key = TOPIC_KEYS_BY_NAME.get(name)
    if topic_key is not None and topic_key.synonym:
        return f"it belongs to topics; the broker's is {topic_key.synonym}"
    known = [*BROKER_KEYS_BY_NAME, *KEYS_WITHOUT_EFFECT_BY_NAME]
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {nearest[0]}?" if nearest else "see `logd serve --help-config` for those there are"


def _parse(key: ConfigKey, text: str, origin: str) -> Value:
    try:
        return parse_value(key, text)
    except ConfigValueError as error:
        raise ConfigError(f"{error} ({origin})", "correct it, or remove it for the default") from None


def _strongest_names(parsed: Mapping[str, Value], settled: Mapping[str, str]) -> list[str]:
    """Those of one source's names that count: not settled by a stronger source, and the first of their synonyms."""
    if "node.id" in parsed and parsed.get("broker.id", parsed["node.id"]) != parsed["node.id"]:
        raise ConfigError(
            f"node.id is {parsed['node.id']} and broker.id is {parsed['broker.id']}",
            "they mean the same: set one",
        )
    names = []
    for name in parsed:
        group = _SYNONYMS_OF.get(name, (name,))
        if any(synonym in settled for synonym in group):
            continue
        if name == next(synonym for synonym in group if synonym in parsed):
            names.append(name)
    return names


_SYNONYMS_OF: dict[str, tuple[str, ...]] = {name: group for group in SYNONYMS for name in group}

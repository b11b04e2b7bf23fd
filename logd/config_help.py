"""The configuration table as text: for `logd serve --help-config` and --help-defaults, and for docs/config.md.

`python -m logd.config_help` writes docs/config.md; a test fails when the file is not what the table says.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator

from logd.cli.output import print_line
from logd.config.broker_keys import BROKER_KEYS
from logd.config.key import ConfigKey, Value, describe_allowed, format_value
from logd.config.other_keys import KEYS_WITHOUT_EFFECT, REFUSED_KEYS
from logd.config.per_group_keys import PER_GROUP_KEYS
from logd.config.topic_keys import TOPIC_KEYS
from logd.console import say

_DOCS_PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "config.md")

_HEAD = """\
# Configuration

<!-- Written by `python -m logd.config_help` from the tables in logd/config/. Do not edit. -->

Names, meanings and, unless said otherwise, defaults are Kafka's. A property is set, strongest first, by
`-X name=value`, by the environment (`LOGD_LOG_DIRS` for `log.dirs`), or in a properties file given by `--config`.
Of several names for one setting the strongest source counts, and within it milliseconds go before minutes before hours.
An unknown name stops the start (in the environment it is a warning).
"""


_DYNAMIC = """\
These take effect at once and stay in force after a restart, set for one node or for the whole cluster by
IncrementalAlterConfigs (`kafka-configs --entity-type brokers`). The node's setting goes before the cluster's, both
before what was set at the start. Every property of a topic can be changed likewise. Broker properties:
"""


_GROUPS = """\
Set for one group while the broker runs (`kafka-configs --entity-type groups`), before or after it exists, within the
broker's bounds (`group.consumer.min.…`, `group.consumer.max.…`). Where a group sets none, the broker's property gives
the value. They reach each member with its next heartbeat.

"""


def print_page(*, differences_only: bool) -> None:
    for line in _differences_text() if differences_only else _keys_text():
        print_line(line)


def render_markdown() -> str:
    parts = [
        _HEAD,
        "\n## Defaults that differ from Kafka's\n\n",
        _table(("property", "here", "Kafka", "why"), _difference_rows()),
        "\n## Broker properties\n\n",
        _table(("property", "type", "default", "allowed", "meaning"), map(_key_row, BROKER_KEYS)),
        "\n## Changed while the broker runs\n\n",
        _DYNAMIC,
        _names(key for key in BROKER_KEYS if key.dynamic),
        "\n\nThese may be changed so, too, and have no effect either way: ",
        _names(key for key in KEYS_WITHOUT_EFFECT if key.dynamic),
        "\n\n## Topic properties\n\n",
        "Set when a topic is created, or later. Where a topic sets none, the broker's property gives the value.\n\n",
        _table(
            ("property", "type", "default", "allowed", "broker's property", "meaning"),
            map(_resource_row, TOPIC_KEYS),
        ),
        "\n## Group properties\n\n",
        _GROUPS,
        _table(
            ("property", "type", "default", "allowed", "broker's property", "meaning"),
            map(_resource_row, PER_GROUP_KEYS),
        ),
        "\n## Taken without effect\n\n",
        "Kafka's files may hold these. They are checked for their type, listed once at the start, and do nothing.\n\n",
        *_without_effect_sections(),
        "## Refused\n\n",
        "These stop the start, with the hint given here. A name that ends with a dot stands for all that begin so.\n\n",
        _table(("property", "hint"), ((f"`{key.name}`", key.hint) for key in REFUSED_KEYS)),
    ]
    return "".join(parts)


def _differing() -> list[ConfigKey]:
    return [key for key in BROKER_KEYS if key.differs]


def _keys_text() -> Iterator[str]:
    for key in BROKER_KEYS:
        allowed = describe_allowed(key)
        yield f"{key.name} ({key.type}{', ' + allowed if allowed else ''}; default {_shown(key.default)})"
        yield from textwrap.wrap(key.doc, 96, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"{len(KEYS_WITHOUT_EFFECT)} more properties of Kafka are taken without effect; see docs/config.md."


def _differences_text() -> Iterator[str]:
    for key in _differing():
        yield f"{key.name}: {_shown(key.default)} here, {_shown(key.kafka_default)} in Kafka: {key.differs}"


def _difference_rows() -> Iterator[tuple[str, ...]]:
    for key in _differing():
        yield f"`{key.name}`", _code(key.default), _code(key.kafka_default), key.differs


def _key_row(key: ConfigKey) -> tuple[str, ...]:
    ours = " Not in Kafka." if key.ours else ""
    return f"`{key.name}`", key.type, _code(key.default), describe_allowed(key), key.doc + ours


def _resource_row(key: ConfigKey) -> tuple[str, ...]:
    effect = f" No effect: {key.without_effect}." if key.without_effect else ""
    synonym = f"`{key.synonym}`" if key.synonym else ""
    return f"`{key.name}`", key.type, _code(key.default), describe_allowed(key), synonym, key.doc + effect


def _without_effect_sections() -> Iterator[str]:
    reasons = dict.fromkeys(key.without_effect for key in KEYS_WITHOUT_EFFECT)
    for reason in reasons:
        names = ", ".join(f"`{key.name}`" for key in KEYS_WITHOUT_EFFECT if key.without_effect == reason)
        yield f"{reason[0].upper()}{reason[1:]}: {names}.\n\n"


def _names(keys: Iterable[ConfigKey]) -> str:
    return ", ".join(f"`{key.name}`" for key in keys) + "."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _shown(value: Value) -> str:
    return format_value(value) or "unset"


def _code(value: Value) -> str:
    text = format_value(value)
    return f"`{text}`" if text else "unset"


def main() -> int:
    with open(_DOCS_PATH, "w", encoding="utf-8") as stream:
        stream.write(render_markdown())
    say(f"wrote {_DOCS_PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`logd config get`.

JSON: {resource, settings}, where each of the settings is {name, value, source, dynamic, sensitive}.
"""

from __future__ import annotations

import argparse

from logd.cli import output
from logd.cli.connection import run_with_client
from logd.cli.settings import Resource, Setting, describe_settings, parse_resource, refused
from logd.clients.cluster_client import ClusterClient
from logd.console import warn
from protocol.errors import BrokerError


def run(options: argparse.Namespace) -> int:
    resource = parse_resource(options.resource)

    async def work(cluster: ClusterClient) -> int:
        answer = (await describe_settings(cluster, [resource]))[resource]
        if isinstance(answer, BrokerError):
            raise refused(resource, answer)
        settings = {each.name: each for each in answer}
        missing = [name for name in options.names if name not in settings]
        chosen = [settings[name] for name in dict.fromkeys(options.names) if name in settings]
        if not options.names:
            chosen = answer
        if chosen or not missing:
            _print(options, resource, [each for each in chosen if not (options.changed and each.is_default)])
        for name in missing:
            warn(f"{resource} has no setting {name}{_suggestion(name, settings)}")
        return 1 if missing else 0

    return run_with_client(options, work)


def _print(options: argparse.Namespace, resource: Resource, settings: list[Setting]) -> None:
    if options.json:
        output.print_json({"resource": str(resource), "settings": [each.row() for each in settings]})
    elif options.quiet:
        for each in settings:
            output.print_line("" if each.value is None else each.value)
    else:
        output.print_table(
            ("NAME", "VALUE", "SOURCE", "DYNAMIC"),
            [(each.name, each.text(), each.source, "yes" if each.is_dynamic else "no") for each in settings],
        )
    output.flush()


def _suggestion(name: str, settings: dict[str, Setting]) -> str:
    import difflib  # noqa: PLC0415 - only to word an error

    nearest = difflib.get_close_matches(name, settings, n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]}?" if nearest else ""

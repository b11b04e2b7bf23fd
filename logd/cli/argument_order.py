"""Arguments as getopt takes them, put into the order and spelling that argparse takes without misreading.

argparse reads `-K=` as the option -K with nothing, refuses a value that starts with a dash (`-f '- %s'`), and does not
find a second group of positional arguments behind an option (`produce TOPIC -l FILE`, `consume a -e b`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def in_order(arguments: Sequence[str], takes_value: Mapping[str, bool]) -> list[str]:
    """Return options first, positional arguments last; what is neither is left for argparse to refuse.

    `takes_value`: each option's spelling ("-K", "--bootstrap"), and whether a value belongs to it.
    """
    options: list[str] = []
    positionals: list[str] = []
    rest = list(reversed(arguments))
    while rest:
        argument = rest.pop()
        if argument == "--":
            positionals += reversed(rest)
            break
        if argument == "-" or not argument.startswith("-"):
            positionals.append(argument)
        elif not argument.startswith("--"):
            options += _short(argument, rest, takes_value)
        elif takes_value.get(argument) and rest and rest[-1] not in takes_value:
            options.append(f"{argument}={rest.pop()}")
        else:
            options.append(argument)
    if any(each.startswith("-") and each != "-" for each in positionals):
        options.append("--")
    return options + positionals


def _short(argument: str, rest: list[str], takes_value: Mapping[str, bool]) -> list[str]:
    """Take apart `-eqK:` or `-K :`; `rest` holds the arguments that follow, the next one last."""
    found: list[str] = []
    for place in range(1, len(argument)):
        name = f"-{argument[place]}"
        if name not in takes_value:
            return [*found, f"-{argument[place:]}"]
        if not takes_value[name]:
            found.append(name)
            continue
        value = argument[place + 1 :]
        if not value:
            # A known option where the value should be: the value was forgotten.
            if not rest or rest[-1] in takes_value:
                return [*found, name]
            value = rest.pop()
        return [*found, name + value] if value.startswith("-") and value != "-" else [*found, name, value]
    return found

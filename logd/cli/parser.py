"""What all commands' options have in common: one-line errors, help with examples, the options of clients.

Options follow the command. They are not abbreviated: a script that says --part must not change its meaning with the
next option that is added.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from importlib import import_module

from logd.cli import output
from logd.cli.argument_order import in_order
from logd.cli.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself is not imported: see logd.cli
    from typing import Any, NoReturn

BOOTSTRAP_VARIABLE = "LOGD_BOOTSTRAP"
BOOTSTRAP_DEFAULT = "127.0.0.1:9092"
TIMEOUT_DEFAULT_S = 30.0

INT32_MAX = (1 << 31) - 1
INT64_MAX = (1 << 63) - 1

_HELP_WIDTH_MAX = 100
_EXAMPLES_TITLE = "examples:\n"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of printing the whole usage."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", _Formatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Arguments in any order and spelling that getopt knows, for a command that has no sub-commands; it refuses
        what it does not know itself, and so names its own help page.
        """
        if args is None or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        takes_value = {
            name: action.nargs is None for action in self._actions for name in action.option_strings
        }
        options, unknown = super().parse_known_args(in_order(args, takes_value), namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")

    def _print_message(self, message: str, file: Any = None) -> None:
        output.write(message)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse would import shutil, and with it every archive format, to find that out."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width(), max_help_position=30)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Examples stay as they are; a description is filled."""
        if text.startswith(_EXAMPLES_TITLE):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def examples(text: str) -> str:
    """The epilog of a help page."""
    return f"{_EXAMPLES_TITLE}{text}"


def add_command(commands: Any, name: str, *, help: str, description: str, epilog: str) -> Parser:
    """Add a command, or a command's sub-command. `commands`: what add_subparsers returned; `epilog`: its examples.

    The caller adds arguments, and names the function that does it: `set_defaults(run=run)`.
    """
    parser: Parser = commands.add_parser(name, help=help, description=description, epilog=examples(epilog))
    return parser


def add_actions(parser: Parser) -> Any:
    """For a command such as `topic` that has sub-commands; the one chosen is `options.action`."""
    return parser.add_subparsers(
        title="actions", metavar="ACTION", dest="action", required=True, parser_class=Parser
    )


def run_action(command: str, action: str, options: argparse.Namespace) -> int:
    """Do what was chosen: `run` of logd.cli.<command>_<action>, which is loaded only now."""
    code: int = import_module(f"logd.cli.{command}_{action.replace('-', '_')}").run(options)
    return code


def add_client_options(parser: Parser) -> None:
    """-b, -J and --timeout: what every command has that talks to a broker."""
    add_connection_options(parser)
    add_json_option(parser)


def add_connection_options(parser: Parser) -> None:
    """-b and --timeout, for commands whose -J means more than the form of what they print."""
    parser.add_argument(
        "-b",
        "--bootstrap",
        metavar="HOST:PORT[,...]",
        help=f"brokers to ask; default ${BOOTSTRAP_VARIABLE}, else {BOOTSTRAP_DEFAULT}",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=TIMEOUT_DEFAULT_S,
        help=f"give up on a broker that is silent for so long; default {TIMEOUT_DEFAULT_S:g}",
    )


def add_json_option(parser: Parser) -> None:
    parser.add_argument("-J", "--json", action="store_true", help="JSON instead of text")


def addresses(text: str | None) -> list[tuple[str, int]]:
    """Hosts and ports of a --bootstrap value; None for the environment's, or the default. Raises UsageError."""
    origin = "--bootstrap"
    if text is None:
        text = os.environ.get(BOOTSTRAP_VARIABLE, "").strip()
        text = text or BOOTSTRAP_DEFAULT
        origin = BOOTSTRAP_VARIABLE
    # An empty --bootstrap is an unset variable of a script: the default would be some other broker.
    parts = [part.strip() for part in text.split(",")]
    return [_address(part, origin) for part in parts]


def seconds(text: str) -> float:
    """A time span above 0, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1e6:  # nan, too, is refused by this
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A number within bounds (inclusive), for argparse."""

    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"-?[0-9]{1,30}", text.strip(), re.ASCII) else None
        if number is None:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
        if not least <= number <= most:
            bound = f"at least {least}" if number < least else f"at most {most}"
            raise argparse.ArgumentTypeError(f"{text} is out of bounds: {bound}")
        return number

    return parse


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE, for argparse. The value may be empty, and may hold further signs of equality."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value


def _address(text: str, origin: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:  # an IPv6 address without brackets: its last group is not a port
        host = ""
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise UsageError(f"{origin}: {text!r} is not HOST:PORT", f"such as {BOOTSTRAP_DEFAULT}")
    return host, int(port)


def _terminal_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        width = int(columns)
    else:
        try:
            width = os.get_terminal_size().columns
        except OSError:
            width = 80
    return max(40, min(width, _HELP_WIDTH_MAX)) - 2

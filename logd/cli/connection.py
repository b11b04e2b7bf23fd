"""Running a command that talks to brokers: connect, do the work, turn what fails into one line and an exit code."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from logd.cli.errors import CommandError
from logd.cli.parser import addresses

if TYPE_CHECKING:
    from logd.clients.cluster_client import ClusterClient
    from protocol.errors import BrokerError


def run_with_client(
    options: argparse.Namespace, work: Callable[[ClusterClient], Awaitable[int]], *, client_id: str = "logd"
) -> int:
    """Connect as `options` say (see `add_client_options`), and return the exit code that `work` returns.

    Ctrl-C cancels `work`, which may tidy up, and then ends the command as everywhere.
    Raises: CommandError where no broker can be talked to, or one refuses and `work` has not dealt with that.
    """
    bootstrap = addresses(options.bootstrap)
    import asyncio  # noqa: PLC0415 - 40 ms, and --help needs none of it

    from logd.clients.cluster_client import ClusterClient, Unreachable  # noqa: PLC0415 - as above
    from protocol.errors import BrokerError, ProtocolViolation  # noqa: PLC0415 - as above

    async def main() -> int:
        client = await ClusterClient.connect(bootstrap, client_id=client_id, timeout_s=options.timeout)
        async with client:
            return await work(client)

    try:
        return asyncio.run(main())
    except BrokerError as error:
        raise CommandError(explain(error)) from None
    except ProtocolViolation as error:
        raise CommandError(f"not a message that can be sent or read: {error}") from None
    except Unreachable as error:
        raise CommandError(str(error)) from None
    except (ConnectionError, TimeoutError) as error:
        raise CommandError(str(error) or "no answer", "is the broker still running?") from None


def explain(error: BrokerError) -> str:
    """A broker's refusal for people: its own words where it has some, ours otherwise, and the code."""
    text = error.text.rstrip(". ")
    return f"{text} ({error.code.name})"


def refusal(subject: str, code: int, message: str | None) -> BrokerError | None:
    """The error of a response with its subject named, since brokers often leave that out; None for code 0."""
    from logd.clients.cluster_client import broker_error  # noqa: PLC0415 - as above

    return about(subject, broker_error(code, message)) if code else None


def about(subject: str, error: BrokerError) -> BrokerError:
    """The same error, with what it is about."""
    from protocol.errors import BrokerError  # noqa: PLC0415 - as above

    return BrokerError(error.code, f"{subject}: {error.text}")
